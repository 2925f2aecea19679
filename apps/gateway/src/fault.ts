/**
 * Things that went wrong and are nobody's refusal: the one table behind statuses, log levels, retry and the
 * breaker. `side` picks the log level, `retry` feeds retry, `status` and `closeCode` are the answer.
 */
export interface FaultKind {
  readonly side: "client" | "upstream" | "us";
  readonly status: number;
  readonly title: string;
  readonly closeCode: number;
  readonly retry: "never" | "if-idempotent" | "always";
}

export const FAULTS = {
  /** No connection could be opened: nothing was sent, so any method may be tried elsewhere. */
  upstream_unreachable: {
    side: "upstream",
    status: 502,
    title: "The service cannot be reached",
    closeCode: 1011,
    retry: "always",
  },
  /** A connection ended before the first byte of the answer. */
  upstream_ended: {
    side: "upstream",
    status: 502,
    title: "The service ended the connection",
    closeCode: 1011,
    retry: "if-idempotent",
  },
  /** The answer is not valid HTTP, or not a valid handshake. */
  upstream_garbage: {
    side: "upstream",
    status: 502,
    title: "The service answered badly",
    closeCode: 1011,
    retry: "never",
  },
  upstream_timeout: {
    side: "upstream",
    status: 504,
    title: "The service took too long",
    closeCode: 1011,
    retry: "never",
  },
  upstream_saturated: {
    side: "upstream",
    status: 503,
    title: "The service is at its connection limit",
    closeCode: 4503,
    retry: "never",
  },
  client_gone: {
    side: "client",
    status: 499,
    title: "The client went away",
    closeCode: 1001,
    retry: "never",
  },
  draining: {
    side: "us",
    status: 503,
    title: "The gateway is stopping",
    closeCode: 4512,
    retry: "always",
  },
  /** A function of the configuration threw, or gave what it must not. */
  function_failed: {
    side: "us",
    status: 500,
    title: "The gateway's configuration failed",
    closeCode: 1011,
    retry: "never",
  },
  /** What must survive a crash could not be written down. */
  store_unavailable: {
    side: "us",
    status: 503,
    title: "The gateway cannot keep this now",
    closeCode: 4503,
    retry: "always",
  },
  internal: {
    side: "us",
    status: 500,
    title: "The gateway failed",
    closeCode: 1011,
    retry: "never",
  },
} as const satisfies Record<string, FaultKind>;

export type FaultName = keyof typeof FAULTS;

/** Thrown, or handed to an error callback, with what to tell and the cause. */
export class Fault extends Error {
  readonly kind: FaultName;

  /** @param message "Cannot <do> <what>: <reason with values and units>" */
  constructor(kind: FaultName, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = "Fault";
    this.kind = kind;
  }
}

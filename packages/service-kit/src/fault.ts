/** What one kind of fault means to the log, to a client that may try again, and to a person who reads the answer. */
export interface FaultKind {
  /** Whose mistake it is; picks the log level. */
  readonly side: "client" | "upstream" | "us";
  /** HTTP status of the answer. */
  readonly status: number;
  readonly retry: "never" | "if-idempotent" | "always";
  /** The problem's `title` (RFC 9457 §3.1.3): the same words every time. */
  readonly title: string;
  /** What it means and what to do about it, for the page that `type` points at. */
  readonly meaning: string;
}

export type FaultTable = Readonly<Record<string, FaultKind>>;

/** One mistake in what was sent: where (RFC 6901, or `#/query/name`, `#/header/name`) and why. */
export interface Mistake {
  readonly pointer: string;
  readonly detail: string;
}

export interface FaultOptions {
  readonly cause?: unknown;
  readonly mistakes?: readonly Mistake[];
  /** Fields that this answer carries, such as `Retry-After` or `Allow`. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** A failure that has a row in a fault table. Thrown; turned into a problem at the edge, never caught on the way to be ignored. */
export class Fault extends Error {
  readonly code: string;
  readonly kind: FaultKind;
  readonly mistakes: readonly Mistake[];
  readonly headers: Readonly<Record<string, string>>;

  /** @param detail shown to the client: "Cannot <do> <what>: <reason with values and units>" */
  constructor(code: string, kind: FaultKind, detail: string, options: FaultOptions = {}) {
    super(detail, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "Fault";
    this.code = code;
    this.kind = kind;
    this.mistakes = options.mistakes ?? [];
    this.headers = options.headers ?? {};
  }
}

/** Makes the function that a service throws with, so that a code outside its table does not compile. */
export function faultsOf<Table extends FaultTable>(
  table: Table,
): (code: keyof Table & string, detail: string, options?: FaultOptions) => Fault {
  return (code, detail, options) => {
    const kind = table[code];
    if (kind === undefined) throw new Error(`No row ${code} in the fault table`);
    return new Fault(code, kind, detail, options);
  };
}

/** The faults that every service has. A service spreads them into its own table. */
export const SERVICE_FAULTS = {
  assertion_missing: {
    side: "client",
    status: 401,
    retry: "never",
    title: "Not called through the gateway",
    meaning:
      "The call carried no Tidegate-Assertion. Services answer only calls that the gateway forwards; call the gateway.",
  },
  assertion_refused: {
    side: "client",
    status: 401,
    retry: "never",
    title: "The forwarded identity was refused",
    meaning:
      "The Tidegate-Assertion was malformed, expired, for another service, or not signed by the gateway. Call the gateway again.",
  },
  person_required: {
    side: "client",
    status: 401,
    retry: "never",
    title: "Sign-in required",
    meaning: "The call was anonymous, and this service serves people. Sign in, then call again.",
  },
  identity_unavailable: {
    side: "upstream",
    status: 503,
    retry: "always",
    title: "The caller cannot be identified at the moment",
    meaning:
      "The gateway's keys could not be fetched. The credential may be fine: keep it and retry later.",
  },
  malformed_request: {
    side: "client",
    status: 400,
    retry: "never",
    title: "Malformed request",
    meaning: "The bytes are not the HTTP or JSON that they claim to be. `detail` says what broke.",
  },
  invalid_request: {
    side: "client",
    status: 400,
    retry: "never",
    title: "The request does not fit the contract",
    meaning:
      "Body, query, path or a field breaks the published schema. `errors` lists each place as a pointer, with the reason.",
  },
  not_found: {
    side: "client",
    status: 404,
    retry: "never",
    title: "Nothing here",
    meaning: "No resource has this path.",
  },
  method_not_allowed: {
    side: "client",
    status: 405,
    retry: "never",
    title: "Method not allowed",
    meaning: "The resource exists but does not know the method. `Allow` lists those it knows.",
  },
  request_timeout: {
    side: "client",
    status: 408,
    retry: "if-idempotent",
    title: "The request took too long to arrive",
    meaning: "Head or body did not arrive in time. Send it again on a new connection.",
  },
  precondition_failed: {
    side: "client",
    status: 412,
    retry: "never",
    title: "The resource has changed since it was read",
    meaning:
      "The entity tag in If-Match is not the current one. Read the resource again, redo the change on it, send the new tag.",
  },
  body_too_large: {
    side: "client",
    status: 413,
    retry: "never",
    title: "The body is too large",
    meaning: "The body exceeds the limit that `detail` names.",
  },
  target_too_long: {
    side: "client",
    status: 414,
    retry: "never",
    title: "The request target is too long",
    meaning: "A path segment is longer than any that this service makes.",
  },
  media_type_unsupported: {
    side: "client",
    status: 415,
    retry: "never",
    title: "Unsupported media type",
    meaning: "The Content-Type is not one that this operation takes. `detail` lists those it does.",
  },
  upgrade_required: {
    side: "client",
    status: 426,
    retry: "never",
    title: "A WebSocket is served here",
    meaning: "The resource speaks WebSocket (RFC 6455) only. Connect with a WebSocket client.",
  },
  precondition_required: {
    side: "client",
    status: 428,
    retry: "never",
    title: "A precondition is required",
    meaning:
      "Changes must name the version they are based on, so that nobody's change is overwritten unseen. Read the resource and send its ETag as If-Match.",
  },
  fields_too_large: {
    side: "client",
    status: 431,
    retry: "never",
    title: "The header fields are too large",
    meaning: "The header section exceeds what this service reads.",
  },
  internal_error: {
    side: "us",
    status: 500,
    retry: "if-idempotent",
    title: "Something broke here",
    meaning:
      "A bug or a broken machine on our side. `instance` names the line in the log that tells more.",
  },
  stopping: {
    side: "us",
    status: 503,
    retry: "always",
    title: "The service is stopping",
    meaning: "The process is shutting down or restarting. Retry after the time given.",
  },
  store_unavailable: {
    side: "us",
    status: 503,
    retry: "always",
    title: "The data cannot be reached at the moment",
    meaning: "The database was busy, full or unreachable; nothing was changed. Retry later.",
  },
} as const satisfies FaultTable;

/** Throws the faults that every service has. */
export const serviceFault = faultsOf(SERVICE_FAULTS);

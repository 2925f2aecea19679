import type { LimitDefinition } from "../limit-definition.ts";
import { addressKey } from "../address-key.ts";

/** A limit on connections: how many and how often, and by whom. `Call` is what the library gives: a request, a socket. */
export type ConnectionLimit<Call> = LimitDefinition & {
  /**
   * Who is limited. Undefined: this limit does not ask this call. What callers choose themselves (a user's name, a
   * field's value) goes through `callerKey`. Whatever it throws refuses the call: as a fault, not as a refusal.
   */
  readonly key: (call: Call) => string | undefined;
  /** Units, by default 1. Fractions are rounded up; a number below 0 or none at all is a fault of the function, not of the caller. */
  readonly cost?: (call: Call) => number;
  /** What a unit is, told to clients; left out for requests. */
  readonly unit?: "content-bytes";
};

/** A limit on requests. The same object in two places is one budget; a copy of it is another. */
export type CallLimit<Call> = ConnectionLimit<Call> & {
  /**
   * Gives the cost back when the call is answered with this status, for example `(status) => status >= 500`. Never on a
   * limit by address: failing on purpose would be free. An answer that the client did not wait for is never given back,
   * nor one that took longer than `DEFAULT_RESERVATION_MS`. Until the answer a bucket with this does not refill.
   */
  readonly refundWhen?: (status: number) => boolean;
};

/** What was refused, for logs, counters and answers of one's own. */
export interface Refusal {
  /** The cost is above a limit's capacity: coming back is no use. */
  readonly isImpossible: boolean;
  /** Names of the limits that refused. */
  readonly violated: readonly string[];
  /** Seconds to wait, jitter included; undefined when impossible. */
  readonly retryAfterSeconds: number | undefined;
}

/** One budget for all whose address is not known: they are limited together rather than not at all. */
const UNKNOWN_ADDRESS = "unknown";

/** The caller behind an address, IPv6 by its /64. */
export function keyOfAddress(address: string | undefined): string {
  return (address === undefined ? undefined : addressKey(address)) ?? UNKNOWN_ADDRESS;
}

/** The limit alone, as plain data: the engine copies it, and functions cannot be copied. */
export function toDefinition(limit: LimitDefinition): LimitDefinition {
  const plain = Object.entries(limit).filter(([, value]) => typeof value !== "function");
  return Object.fromEntries(plain) as unknown as LimitDefinition;
}

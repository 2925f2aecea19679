import { serviceFault } from "@tidegate/service-kit";
import { taskFault } from "./fault.ts";
import type { Person } from "./task-store.ts";

/**
 * The key a client chose, from `Idempotency-Key`: a quoted string as draft-ietf-httpapi-idempotency-key-header
 * has it, or the same without quotes as most clients send it.
 * @throws {Fault} `invalid_request` when it is neither
 */
export function parseIdempotencyKey(field: string | undefined): string | undefined {
  if (field === undefined) return undefined;
  const key = /^"(.*)"$/.exec(field)?.[1] ?? field;
  if (/^[\x21\x23-\x7e]{1,255}$/.test(key)) return key;
  throw serviceFault("invalid_request", "Cannot use the Idempotency-Key", {
    mistakes: [
      { pointer: "#/header/idempotency-key", detail: "must be 1 to 255 visible ASCII characters" },
    ],
  });
}

/** Which keys are being used at the moment. */
export interface InFlightKeys {
  /**
   * Holds the key until disposed.
   * @throws {Fault} `idempotency_key_in_use` while another request of the same person holds it
   */
  enter(person: Person, key: string | undefined): Disposable;
}

/** Bounded by the requests in flight: each holds at most one key. */
export function createInFlightKeys(): InFlightKeys {
  const held = new Set<string>();
  return {
    enter(person, key) {
      if (key === undefined) return { [Symbol.dispose]: () => undefined };
      const name = JSON.stringify([person.source, person.subject, key]);
      if (held.has(name)) {
        throw taskFault(
          "idempotency_key_in_use",
          "Cannot create the task yet: a request with this Idempotency-Key is still being handled",
          { headers: { "retry-after": "1" } },
        );
      }
      held.add(name);
      return { [Symbol.dispose]: () => held.delete(name) };
    },
  };
}

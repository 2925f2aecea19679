import { serviceFault } from "@tidegate/service-kit";

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

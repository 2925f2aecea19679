import type { IncomingHttpHeaders } from "node:http";
import type { Clock } from "@tidegate/clock";
import { AssertionRefused, type AssertedIdentity, type AssertionVerifier } from "@tidegate/auth";
import { serviceFault } from "./fault.ts";

/**
 * Answers who a call is for, from the forwarded assertion and nothing else: not from `Authorization`, cookies,
 * forwarding fields or the peer's address, all of which a caller that got past the gateway could write itself.
 * @throws {Fault} `assertion_missing`, `assertion_refused`, `person_required`, `identity_unavailable`
 */
export type IdentityGate = (headers: IncomingHttpHeaders) => Promise<AssertedIdentity>;

// Longer than a slow fetch of the gateway's keys, shorter than a person's patience.
const VERIFY_TIMEOUT_MS = 5_000;

/** A gate for a service that serves people: an anonymous call, though well signed, is refused. */
export function createIdentityGate(options: {
  readonly verifier: Pick<AssertionVerifier, "verify">;
  readonly clock: Clock;
  /** Names the service in the challenge. */
  readonly realm: string;
}): IdentityGate {
  return async (headers) => {
    // Node joins repeated fields of this kind with a comma, which no assertion contains: two assertions are refused as malformed.
    const token = headers["tidegate-assertion"];
    // RFC 9110 §11.6.1: a 401 names a scheme. This one is no client's to use; it tells an operator what is missing.
    const headersOf401 = { "www-authenticate": `Tidegate-Assertion realm="${options.realm}"` };
    if (typeof token !== "string" || token === "") {
      throw serviceFault("assertion_missing", "Cannot answer: the call has no Tidegate-Assertion", {
        headers: headersOf401,
      });
    }
    const identity = await verifyInTime(options, token, headersOf401);
    if (identity.subject === "") {
      throw serviceFault("person_required", "Cannot answer: the call is anonymous", {
        headers: { "www-authenticate": `Bearer realm="${options.realm}"` },
      });
    }
    return identity;
  };
}

async function verifyInTime(
  options: { readonly verifier: Pick<AssertionVerifier, "verify">; readonly clock: Clock },
  token: string,
  headers: Readonly<Record<string, string>>,
): Promise<AssertedIdentity> {
  const abort = new AbortController();
  const timer = options.clock.after(VERIFY_TIMEOUT_MS, () => abort.abort());
  try {
    return await options.verifier.verify(token, abort.signal);
  } catch (cause) {
    if (cause instanceof AssertionRefused && cause.kind === "invalid") {
      // The reason stays in the log: it would tell a forger what to fix.
      throw serviceFault(
        "assertion_refused",
        "Cannot answer: the Tidegate-Assertion is not valid",
        {
          cause,
          headers,
        },
      );
    }
    const retryAfterMs = cause instanceof AssertionRefused ? cause.retryAfterMs : 0;
    throw serviceFault(
      "identity_unavailable",
      "Cannot answer: the caller's identity cannot be checked",
      { cause, headers: { "retry-after": String(Math.max(1, Math.ceil(retryAfterMs / 1_000))) } },
    );
  } finally {
    timer.cancel();
  }
}

import { REASON } from "../judge/reason.ts";
import { refuseWith, type Refusal } from "../judge/refusal.ts";
import { credentialRefused } from "../record/events.ts";
import type { Log } from "../record/logger.ts";
import { refuse } from "./ask-verifiers.ts";
import type { CredentialKind, CredentialRequest, IdentityAnswer } from "./credential-kind.ts";
import type { Identity } from "./identifier.ts";
import { credentialText } from "./presented-credential.ts";
import { PROOF_WANTED } from "./proof-detail.ts";
import { isProofTarget } from "./proof-target.ts";
import type { ReadToken, TokenReader } from "./token-reader.ts";

/**
 * `Authorization: DPoP` (RFC 9449): an access token that is bound to a key of the client, and with every request a new
 * proof by that key. A remembered token saves no proof.
 */
export function dpopCredentials({
  reader,
  publicUrl,
  log,
}: {
  readonly reader: TokenReader;
  /** How people reach the gateway, as far as it is configured. */
  readonly publicUrl: URL | undefined;
  readonly log: Log;
}): CredentialKind {
  const refuseProof = (why: string, refusal: Refusal): undefined => {
    credentialRefused(log, { why });
    refuseWith(refusal, REASON.credential_invalid, { detail: PROOF_WANTED });
  };

  const admit = async (
    { accepted, issuer }: ReadToken,
    { head }: CredentialRequest,
    refusal: Refusal,
  ): Promise<Identity | undefined> => {
    const { keyThumbprint } = accepted.principal;
    // RFC 9449 §7.1: a plain bearer token does not become another by the scheme it is shown with.
    if (keyThumbprint === "") return refuseProof("proof-missing", refusal);
    const proof = fieldOnce(head.fields, "dpop");
    if (proof === undefined) return refuseProof("proof-missing", refusal);
    const answer = await issuer.proofs.verify(proof, {
      method: head.method,
      isTarget: (htu) => isProofTarget(htu, { head, publicUrl }),
      token: credentialText(head.authorization ?? ""),
      keyThumbprint,
    });
    switch (answer.outcome) {
      case "good":
        return accepted;
      case "invalid":
        return refuseProof(answer.why, refusal);
      case "nonce":
        credentialRefused(log, { why: "proof-nonce" });
        refuseWith(refusal, REASON.credential_invalid, {
          detail: { ...PROOF_WANTED, nonce: answer.nonce },
        });
        return undefined;
      case "busy":
        return refuse(refusal, REASON.identity_busy, answer.retryAfterMs);
    }
  };

  return {
    name: "dpop",
    identify(request, refusal, caller): IdentityAnswer {
      const token = reader.read(request, { refusal, caller });
      if (token === undefined) return undefined;
      if (!(token instanceof Promise)) return admit(token, request, refusal);
      return token.then((waited) =>
        waited === undefined ? undefined : admit(waited, request, refusal),
      );
    },
    // Its issuers are those of the bearer tokens.
    readiness: () => [],
    [Symbol.dispose]() {},
  };
}

/** A field's value; undefined when it is not there, or more than once (RFC 9449 §4.3: exactly one). */
function fieldOnce(fields: readonly string[], name: string): string | undefined {
  let found: string | undefined;
  for (let at = 0; at + 1 < fields.length; at += 2) {
    if (fields[at]?.toLowerCase() !== name) continue;
    if (found !== undefined) return undefined;
    found = fields[at + 1];
  }
  return found;
}

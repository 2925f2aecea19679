import type { Readiness } from "../admin/readiness.ts";
import { REASON } from "../judge/reason.ts";
import { refuseWith, type Refusal } from "../judge/refusal.ts";
import { credentialRefused } from "../record/events.ts";
import type { Log } from "../record/logger.ts";
import type { CredentialKind, IdentityAnswer } from "./credential-kind.ts";
import type { Identity } from "./identifier.ts";
import type { TokenIssuer } from "./open-issuer.ts";
import { PROOF_WANTED } from "./proof-detail.ts";
import type { ReadToken, TokenReader } from "./token-reader.ts";

/**
 * `Authorization: Bearer` with access tokens of OpenID providers: whoever shows one may use it. A token that is bound to
 * a key is refused here (RFC 9449 §7.2): shown by a thief, it would work.
 * @param issuers by their name under `identity`; disposed with the kind
 */
export function bearerCredentials(
  issuers: ReadonlyMap<string, TokenIssuer>,
  { reader, log }: { readonly reader: TokenReader; readonly log: Log },
): CredentialKind {
  const admit = (token: ReadToken | undefined, refusal: Refusal): Identity | undefined => {
    if (token === undefined) return undefined;
    const { accepted, issuer } = token;
    if (accepted.principal.keyThumbprint === "" && !issuer.requiresProof) return accepted;
    credentialRefused(log, { why: "proof-missing" });
    refuseWith(refusal, REASON.credential_invalid, { detail: PROOF_WANTED });
    return undefined;
  };

  return {
    name: "bearer",
    identify(request, refusal, caller): IdentityAnswer {
      const token = reader.read(request, { refusal, caller });
      if (!(token instanceof Promise)) return admit(token, refusal);
      return token.then((waited) => admit(waited, refusal));
    },
    readiness: () => [...issuers.values()].map(readinessOf),
    [Symbol.dispose]() {
      for (const issuer of issuers.values()) issuer[Symbol.dispose]();
    },
  };
}

function readinessOf({ name, jwt, asked }: TokenIssuer): Readiness {
  const isReady = jwt?.isReady ?? true;
  return { name: `issuer ${name}`, isReady, detail: detailOf({ jwt, asked }) };
}

function detailOf({ jwt, asked }: Pick<TokenIssuer, "jwt" | "asked">): string {
  if (jwt?.isReady === false) return "Its keys are not known";
  if (jwt?.isCurrent === false) return "Its keys are known, but it does not answer now";
  if (asked?.isCurrent === false) return "It does not answer about tokens now";
  return jwt === undefined ? "It is asked about tokens" : "Its keys are known";
}

import {
  MAX_TOKEN_LENGTH,
  parseToken,
  tokenFingerprint,
  type Accepted,
  type AccessTokenVerifier,
  type PresentedToken,
} from "@tidegate/auth";
import type { Readiness } from "../admin/readiness.ts";
import type { Peer } from "../judge/call.ts";
import type { Log } from "../record/logger.ts";
import { askVerifiers, refuseCredential } from "./ask-verifiers.ts";
import type { CredentialKind } from "./credential-kind.ts";
import { credentialText } from "./presented-credential.ts";
import { verifiersOfRoute } from "./verifiers-of-route.ts";

/**
 * `Authorization: Bearer` with access tokens of OpenID providers.
 * @param tokens by their name under `identity`; disposed with the kind
 */
export function tokenCredentials(
  tokens: ReadonlyMap<string, AccessTokenVerifier>,
  { log }: { readonly log: Log },
): CredentialKind {
  const verifiersOf = verifiersOfRoute(tokens);
  /**
   * The token that a connection showed last, and its digest: clients send the same one with every request, and hashing
   * it costs more than everything else about it. Only the digest is taken from here; whether the token is still good
   * is asked of its verifier every time. An entry lives and dies with its connection.
   */
  const lastShown = new WeakMap<Peer, { authorization: string; fingerprint: string }>();

  return {
    name: "bearer",
    identify({ head, route, peer }, refusal, caller) {
      const verifiers = verifiersOf(route.config);
      const authorization = head.authorization ?? "";
      const shown = lastShown.get(peer);
      if (shown !== undefined && shown.authorization === authorization) {
        const remembered = recallAny(verifiers, shown.fingerprint);
        if (remembered !== undefined) return remembered;
      }
      const text = credentialText(authorization);
      if (verifiers.length === 0 || text.length > MAX_TOKEN_LENGTH)
        return refuseCredential("shape", { refusal, log });
      const fingerprint = tokenFingerprint(text);
      const remembered = recallAny(verifiers, fingerprint);
      if (remembered !== undefined) {
        if (peer.isProxied !== true && authorization.length <= MAX_SHOWN_LENGTH)
          lastShown.set(peer, { authorization, fingerprint });
        return remembered;
      }
      const parts = parseToken(text);
      if (parts === undefined) return refuseCredential("shape", { refusal, log });
      const token: PresentedToken = { text, parts, fingerprint };
      return askVerifiers({
        // The token says whom to ask; whether that is true its signature shows. Compared exactly (mix-up).
        verifiers: verifiers.filter(({ issuer }) => issuer === parts.payload["iss"]),
        check: (verifier) => verifier.verify(token, caller.signal),
        log,
        refusal,
        caller,
      });
    },
    readiness: () =>
      [...tokens].map(([name, { isReady, isCurrent }]): Readiness => ({
        name: `issuer ${name}`,
        isReady,
        detail: isReady
          ? isCurrent
            ? "Its keys are known"
            : "Its keys are known, but it does not answer now"
          : "Its keys are not known",
      })),
    [Symbol.dispose]() {
      for (const verifier of tokens.values()) verifier[Symbol.dispose]();
    },
  };
}

/** Longer tokens are rare, and are hashed each time rather than kept for each connection. */
const MAX_SHOWN_LENGTH = 4_096;

function recallAny(
  verifiers: readonly AccessTokenVerifier[],
  fingerprint: string,
): Accepted | undefined {
  for (const verifier of verifiers) {
    const remembered = verifier.recall(fingerprint);
    if (remembered !== undefined) return remembered;
  }
  return undefined;
}

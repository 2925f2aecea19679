import {
  MAX_TOKEN_LENGTH,
  parseToken,
  tokenFingerprint,
  type Accepted,
  type TokenParts,
  type Verification,
} from "@tidegate/auth";
import type { RouteConfig } from "../config/schema.ts";
import type { Peer } from "../judge/call.ts";
import { REASON } from "../judge/reason.ts";
import { issuerUnsupported } from "../record/events.ts";
import type { Log } from "../record/logger.ts";
import { askVerifiers, refuse, refuseCredential } from "./ask-verifiers.ts";
import type { AnswerMeans, CredentialRequest } from "./credential-kind.ts";
import type { TokenIssuer } from "./open-issuer.ts";
import { credentialText } from "./presented-credential.ts";
import { verifiersOfRoute } from "./verifiers-of-route.ts";

/** A good token, and who vouches for it. Whether it may be shown in this way is not said yet. */
export interface ReadToken {
  readonly accepted: Accepted;
  readonly issuer: TokenIssuer;
}

/** Reads access tokens behind a scheme of `Authorization`, for all kinds that carry one. */
export interface TokenReader {
  /** @returns the token, or undefined after the refusal was filled; at once whenever it is remembered */
  read(
    request: CredentialRequest,
    means: AnswerMeans,
  ): ReadToken | undefined | Promise<ReadToken | undefined>;
}

/** @param issuers by their name under `identity` */
export function createTokenReader(
  issuers: ReadonlyMap<string, TokenIssuer>,
  { log }: { readonly log: Log },
): TokenReader {
  const issuersOf = verifiersOfRoute(issuers);
  /**
   * The token that a connection showed last, and its digest: clients send the same one with every request, and hashing
   * it costs more than everything else about it. Only the digest is taken from here; whether the token is still good
   * is asked of its verifier every time. An entry lives and dies with its connection.
   */
  const lastShown = new WeakMap<Peer, { authorization: string; fingerprint: string }>();
  const warned = new Set<TokenIssuer>();

  return {
    read({ head, route, peer, mayVerify }, means) {
      const { config } = route;
      const mine = issuersOf(config);
      const authorization = head.authorization ?? "";
      const shown = lastShown.get(peer);
      if (shown !== undefined && shown.authorization === authorization) {
        const remembered = recallAny(mine, shown.fingerprint, config);
        if (remembered !== undefined) return remembered;
      }
      const text = credentialText(authorization);
      if (mine.length === 0 || text === "" || text.length > MAX_TOKEN_LENGTH)
        return refuseCredential("shape", { ...means, log });
      const fingerprint = tokenFingerprint(text);
      const remembered = recallAny(mine, fingerprint, config);
      if (remembered !== undefined) {
        if (peer.isProxied !== true && authorization.length <= MAX_SHOWN_LENGTH)
          lastShown.set(peer, { authorization, fingerprint });
        return remembered;
      }
      const parts = parseToken(text);
      const candidates = mine.filter((issuer) => mayBeOf(issuer, text, parts));
      if (candidates.length === 0)
        return refuseCredential(parts === undefined ? "shape" : "issuer", { ...means, log });
      if (mayVerify?.() === false) return refuse(means.refusal, REASON.identity_busy);
      const { signal } = means.caller;
      let asked: TokenIssuer | undefined;
      const answer = askVerifiers({
        verifiers: candidates,
        check(issuer) {
          asked = issuer;
          if (parts !== undefined && issuer.jwt !== undefined)
            return told(issuer, issuer.jwt.verify({ text, parts, fingerprint }, signal));
          const asker = { network: peer.network, isFresh: config.highValue, signal };
          return told(issuer, issuer.asked?.verify({ text, fingerprint }, asker) ?? NO_VERIFIER);
        },
        log,
        ...means,
      });
      // Nobody is asked after the one who accepted.
      const read = (accepted: Accepted | undefined): ReadToken | undefined =>
        accepted === undefined || asked === undefined ? undefined : { accepted, issuer: asked };
      return answer instanceof Promise ? answer.then(read) : read(answer);
    },
  };

  /** An operator must learn, once, that a provider gives out tokens which nobody here can use. */
  function told<Answer extends Verification | Promise<Verification>>(
    issuer: TokenIssuer,
    answer: Answer,
  ): Answer {
    const look = (verification: Verification): void => {
      if (verification.outcome !== "invalid" || verification.why !== "certificate-bound") return;
      if (warned.has(issuer)) return;
      warned.add(issuer);
      issuerUnsupported(log, { issuer: issuer.name, what: "tokens bound to a client certificate" });
    };
    // Whoever waits for the answer hears of its failure.
    if (answer instanceof Promise) answer.then(look, () => undefined);
    else look(answer);
    return answer;
  }
}

/**
 * Whether a token may be one of `issuer`'s. A token of one provider must be judged by nobody else (mix-up), and not be
 * shown to them either, so a JWT goes only to whom it names; whether that is true its signature shows.
 */
function mayBeOf(
  { issuer, jwt, asked }: TokenIssuer,
  text: string,
  parts: TokenParts | undefined,
): boolean {
  if (parts !== undefined) return parts.payload["iss"] === issuer;
  if (asked === undefined || !OPAQUE.test(text)) return false;
  // Another spelling of a JWT is none; the provider may be lenient about it.
  return jwt === undefined || !/^[^.]+\.[^.]+\.[^.]+$/.test(text);
}

/** RFC 6750 §2.1. */
const OPAQUE = /^[A-Za-z0-9._~+/-]+=*$/;

const NO_VERIFIER: Verification = { outcome: "invalid", why: "issuer" };

/** Longer tokens are rare, and are hashed each time rather than kept for each connection. */
const MAX_SHOWN_LENGTH = 4_096;

function recallAny(
  issuers: readonly TokenIssuer[],
  fingerprint: string,
  { highValue }: RouteConfig,
): ReadToken | undefined {
  for (const issuer of issuers) {
    // Where it matters most the provider is asked each time: it may have ended the token since.
    const accepted =
      issuer.jwt?.recall(fingerprint) ??
      (highValue ? undefined : issuer.asked?.recall(fingerprint));
    if (accepted !== undefined) return { accepted, issuer };
  }
  return undefined;
}

import { hash } from "node:crypto";
import type { Clock } from "@tidegate/clock";
import { isJsonObject, type JsonObject } from "./json-object.ts";
import { readNumericDate } from "./numeric-date.ts";
import type { ProofNonces } from "./proof-nonces.ts";
import type { ReplayMemory } from "./replay-memory.ts";
import { hasValidSignature } from "./signature.ts";
import type { SignatureAlgorithm } from "./token-header.ts";
import { parseToken } from "./token-shape.ts";
import type { InvalidWhy } from "./verification.ts";
import { vetKey, type VerificationKey } from "./verification-key.ts";

/** What a proof must show (RFC 9449 §4.3). */
export interface ProofExpected {
  readonly method: string;
  /** Whether `htu` names what was asked for. Given as it stands in the proof. */
  readonly isTarget: (htu: string) => boolean;
  /** The access token that came with it. */
  readonly token: string;
  /** Of the key that the token is bound to. */
  readonly keyThumbprint: string;
}

export type ProofAnswer =
  | { readonly outcome: "good" }
  | { readonly outcome: "invalid"; readonly why: InvalidWhy }
  /** The proof may be good, but must carry this nonce (RFC 9449 §9). */
  | { readonly outcome: "nonce"; readonly nonce: string }
  | { readonly outcome: "busy"; readonly retryAfterMs: number };

/** Checks DPoP proofs at a resource server. Each counts once, over everybody who shares `replays`. */
export interface ProofVerifier {
  readonly algorithms: readonly SignatureAlgorithm[];
  verify(proof: string, expected: ProofExpected): Promise<ProofAnswer>;
}

export interface ProofVerifierOptions {
  readonly algorithms: readonly SignatureAlgorithm[];
  /** How long after its `iat` a proof counts. */
  readonly maxAgeSeconds: number;
  /** How far the client's clock may differ. */
  readonly clockToleranceSeconds: number;
  readonly replays: ReplayMemory;
  /** Proofs must carry one of these; default: none is asked for. */
  readonly nonces?: ProofNonces | undefined;
  readonly clock: Clock;
}

export function createProofVerifier(options: ProofVerifierOptions): ProofVerifier {
  const { algorithms, maxAgeSeconds, clockToleranceSeconds, replays, nonces, clock } = options;

  /** From the earliest moment at which a proof is accepted to the latest. */
  const countsForMs = (maxAgeSeconds + 2 * clockToleranceSeconds) * 1_000;

  return {
    algorithms,
    async verify(proof, expected) {
      if (proof.length > MAX_PROOF_LENGTH) return invalid("proof-shape");
      const parts = parseToken(proof);
      if (parts === undefined) return invalid("proof-shape");
      const signing = readProofHeader(parts.header, algorithms);
      if (signing === undefined) return invalid("proof-header");
      const { key, algorithm } = signing;
      // Claims before the signature: what is refused anyway costs no signature check.
      if (key.thumbprint !== expected.keyThumbprint) return invalid("proof-key");
      const why = judgeClaims(parts.payload, expected);
      if (why !== undefined) return invalid(why);
      if (!(await hasValidSignature(proof, key, algorithm))) return invalid("proof-signature");
      if (nonces !== undefined && !nonces.isGood(parts.payload["nonce"]))
        return { outcome: "nonce", nonce: nonces.current };
      return takeOnce(key, parts.payload);
    },
  };

  function judgeClaims(
    { htm, htu, iat, exp, nbf, jti, ath }: JsonObject,
    { method, isTarget, token }: ProofExpected,
  ): InvalidWhy | undefined {
    if (typeof jti !== "string" || jti === "" || jti.length > MAX_JTI_LENGTH) return "proof-shape";
    if (htm !== method || typeof htu !== "string" || !isTarget(htu)) return "proof-target";
    // RFC 9449 §4.2: else a proof that was made for one token works for another of the same key.
    if (ath !== hash("sha256", token, "base64url")) return "proof-token";
    const nowSeconds = clock.wallMs() / 1_000;
    const issuedSeconds = readNumericDate(iat);
    if (issuedSeconds === undefined) return "proof-time";
    const isTimely =
      issuedSeconds <= nowSeconds + clockToleranceSeconds &&
      issuedSeconds > nowSeconds - maxAgeSeconds - clockToleranceSeconds;
    // Not asked for by the standard, but a proof that says it is over is over.
    const isOver =
      exp !== undefined && (readNumericDate(exp) ?? 0) <= nowSeconds - clockToleranceSeconds;
    const isEarly =
      nbf !== undefined &&
      (readNumericDate(nbf) ?? Number.POSITIVE_INFINITY) > nowSeconds + clockToleranceSeconds;
    return isTimely && !isOver && !isEarly ? undefined : "proof-time";
  }

  /** Last of all, so that only who has the key can use a `jti` up (RFC 9449 §11.1). */
  function takeOnce({ thumbprint }: VerificationKey, { jti }: JsonObject): ProofAnswer {
    const nowMs = clock.monotonicMs();
    switch (replays.take(`${thumbprint} ${String(jti)}`, nowMs + countsForMs, nowMs)) {
      case "first":
        return { outcome: "good" };
      case "seen":
        return invalid("proof-replayed");
      case "full":
        return { outcome: "busy", retryAfterMs: BUSY_RETRY_AFTER_MS };
    }
  }
}

/** RFC 9449 §4.2: `typ`, `alg` and `jwk`, the public key; nothing that would bring another key or change what is signed. */
function readProofHeader(
  header: JsonObject,
  algorithms: readonly SignatureAlgorithm[],
): { readonly key: VerificationKey; readonly algorithm: SignatureAlgorithm } | undefined {
  const { typ, alg, jwk } = header;
  for (const name of REFUSED_MEMBERS) if (Object.hasOwn(header, name)) return undefined;
  if (typ !== "dpop+jwt" || !isJsonObject(jwk)) return undefined;
  const algorithm = algorithms.find((one) => one === alg);
  if (algorithm === undefined) return undefined;
  const key = vetKey(jwk);
  return "refused" in key || !key.algorithms.has(algorithm) ? undefined : { key, algorithm };
}

const invalid = (why: InvalidWhy): ProofAnswer => ({ outcome: "invalid", why });

const REFUSED_MEMBERS = ["crit", "b64", "jku", "x5u", "x5c", "zip", "enc"];
/** With an RSA key of 4096 bits a proof has 1,800 characters. */
const MAX_PROOF_LENGTH = 4_096;
/** Random values in use have 16 to 64 characters. */
const MAX_JTI_LENGTH = 256;
const BUSY_RETRY_AFTER_MS = 1_000;

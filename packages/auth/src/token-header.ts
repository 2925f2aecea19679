import type { JsonObject } from "./json-object.ts";

/** What the header of a token may say. It is written by whoever sent it, so it may choose among what is configured, and no more. */
export interface HeaderRules {
  /** Accepted signature algorithms. Only asymmetric ones are known here at all. */
  readonly algorithms: ReadonlySet<string>;
  /** Accepted `typ`, lower case, without `application/`; `absent` stands for a token without one. */
  readonly types: ReadonlySet<string>;
}

export interface TokenHeader {
  readonly algorithm: SignatureAlgorithm;
  /** Empty when the token names no key. */
  readonly keyId: string;
  /** Normalised `typ`; `absent` when there is none. */
  readonly type: string;
}

/** Every algorithm this package can verify. `none` and the symmetric ones have no place in it (RFC 8725 §3.1). */
export const SIGNATURE_ALGORITHMS = [
  "RS256",
  "RS384",
  "RS512",
  "PS256",
  "PS384",
  "PS512",
  "ES256",
  "ES384",
  "ES512",
  "EdDSA",
] as const;
export type SignatureAlgorithm = (typeof SIGNATURE_ALGORITHMS)[number];

/** @returns undefined when the header asks for anything that is not allowed */
export function readHeader(header: JsonObject, rules: HeaderRules): TokenHeader | undefined {
  // RFC 8725 §3.1, §3.10: `jwk`, `jku`, `x5u`, `x5c` would let the sender bring the key; `crit` and `b64` change
  // what is signed; `zip` and `enc` belong to encryption. No access token needs any of them.
  for (const name of REFUSED_MEMBERS) if (Object.hasOwn(header, name)) return undefined;

  const { alg, kid, typ } = header;
  if (typeof alg !== "string" || !rules.algorithms.has(alg) || !isKnown(alg)) return undefined;
  if (kid !== undefined && (typeof kid !== "string" || kid.length > MAX_KEY_ID_LENGTH)) {
    return undefined;
  }
  const type = normaliseType(typ);
  if (type === undefined || !rules.types.has(type)) return undefined;
  return { algorithm: alg, keyId: kid ?? "", type };
}

/** RFC 7515 §4.1.9: media types compare without case, and `application/` may be left out. */
export function normaliseType(typ: unknown): string | undefined {
  if (typ === undefined) return "absent";
  if (typeof typ !== "string") return undefined;
  const lower = typ.toLowerCase();
  // A token that calls itself `absent` is not one without a type.
  if (lower === "absent") return undefined;
  return lower.startsWith("application/") ? lower.slice("application/".length) : lower;
}

/** Key ids in use are thumbprints or short names; a longer one is no honest mistake. */
export const MAX_KEY_ID_LENGTH = 256;

const REFUSED_MEMBERS = ["crit", "b64", "jwk", "jku", "x5u", "x5c", "zip", "enc"];

const isKnown = (alg: string): alg is SignatureAlgorithm =>
  (SIGNATURE_ALGORITHMS as readonly string[]).includes(alg);

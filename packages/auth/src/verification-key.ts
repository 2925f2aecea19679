import { createPublicKey, hash, type KeyObject } from "node:crypto";
import { isJsonObject, type JsonObject } from "./json-object.ts";
import { isRocaModulus } from "./roca.ts";
import { MAX_KEY_ID_LENGTH, type SignatureAlgorithm } from "./token-header.ts";

/** One public key of an issuer, vetted. */
export interface VerificationKey {
  /** Empty when the issuer gave it no name. */
  readonly keyId: string;
  /** What signatures it may be used for: by its type, and by its own `alg` where it has one. */
  readonly algorithms: ReadonlySet<SignatureAlgorithm>;
  readonly key: KeyObject;
  /** RFC 7638. The same key in a later set is recognised by it. */
  readonly thumbprint: string;
  /**
   * Monotonic milliseconds until which signatures of this key count. Written by the key set that owns it: moved on
   * with every good load that still has the key, set to -Infinity by one that has not. Read on every use of a
   * remembered token, so a removed key ends what it vouched for at once.
   */
  trustedUntilMs: number;
}

/**
 * Vets one member of a JWKS. Keys come from a configured issuer, and are vetted all the same: libraries accept RSA
 * with exponent 1 and keys that can be factored, and one careless entry would let anybody sign.
 * @returns the key, or why it is not used
 */
export function vetKey(jwk: unknown): VerificationKey | { readonly refused: string } {
  if (!isJsonObject(jwk)) return refused("not an object");
  const { kid, use, key_ops: operations, alg } = jwk;

  if (kid !== undefined && (typeof kid !== "string" || kid.length > MAX_KEY_ID_LENGTH)) {
    return refused("kid is not a short string");
  }
  // RFC 7517 §4.2, §4.3: a key for encryption must not verify signatures.
  if (use !== undefined && use !== "sig") return refused("use is not sig");
  if (operations !== undefined && !(Array.isArray(operations) && operations.includes("verify"))) {
    return refused("key_ops has no verify");
  }
  // A published private key is everybody's; `k` is the secret of a symmetric one.
  for (const name of ["d", "p", "q", "dp", "dq", "qi", "oth", "k"]) {
    if (Object.hasOwn(jwk, name)) return refused("has private members");
  }
  const material = readMaterial(jwk);
  if ("refused" in material) return material;

  const algorithms = new Set(
    alg === undefined
      ? material.algorithms
      : material.algorithms.filter(
          (algorithm) => algorithm === alg || isFullySpecified(algorithm, alg),
        ),
  );
  if (algorithms.size === 0) return refused("alg does not fit the key");

  let key: KeyObject;
  try {
    // Refuses points that are not on their curve.
    key = createPublicKey({ key: material.jwk, format: "jwk" });
  } catch {
    return refused("not a valid public key");
  }
  return {
    keyId: kid ?? "",
    algorithms,
    key,
    thumbprint: thumbprintOf(material.jwk),
    trustedUntilMs: Number.NEGATIVE_INFINITY,
  };
}

interface Material {
  /** Only the members that make the key, sorted by name, as RFC 7638 §3.2 wants them. */
  readonly jwk: Readonly<Record<string, string>>;
  readonly algorithms: readonly SignatureAlgorithm[];
}

function readMaterial(members: JsonObject): Material | { refused: string } {
  switch (members["kty"]) {
    case "RSA":
      return readRsa(members);
    case "EC":
      return readCurve(members);
    case "OKP":
      return readEdwards(members);
    default:
      return refused("kty is not RSA, EC or OKP");
  }
}

function readRsa({ n, e }: JsonObject): Material | { refused: string } {
  const modulus = toInteger(n);
  const exponent = toInteger(e);
  if (typeof n !== "string" || typeof e !== "string") return refused("n or e is missing");
  if (modulus === undefined || exponent === undefined) return refused("n or e is not base64url");
  const bits = modulus.toString(2).length;
  // 2048: NIST SP 800-131A. The upper bound keeps one hostile key from costing milliseconds per check.
  if (bits < 2_048 || bits > 8_192) return refused("RSA modulus is not 2048 to 8192 bits");
  if (modulus % 2n === 0n) return refused("RSA modulus is even");
  // FIPS 186-5 §A.1.1: odd and above 2^16. With exponent 1 the signature is its own message.
  if (exponent < 65_537n || exponent % 2n === 0n || exponent >= 1n << 32n) {
    return refused("RSA exponent is not an odd number of 65537 to 2^32");
  }
  if (isRocaModulus(modulus)) return refused("RSA modulus has the ROCA fingerprint");
  return {
    jwk: { e, kty: "RSA", n },
    algorithms: ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"],
  };
}

function readCurve({ crv, x, y }: JsonObject): Material | { refused: string } {
  if (crv !== "P-256" && crv !== "P-384" && crv !== "P-521") {
    return refused("crv is not P-256, P-384 or P-521");
  }
  if (typeof x !== "string" || typeof y !== "string") return refused("x or y is missing");
  return { jwk: { crv, kty: "EC", x, y }, algorithms: [CURVE_ALGORITHM[crv]] };
}

const CURVE_ALGORITHM = { "P-256": "ES256", "P-384": "ES384", "P-521": "ES512" } as const;

function readEdwards({ crv, x }: JsonObject): Material | { refused: string } {
  if (crv !== "Ed25519") return refused("crv is not Ed25519");
  if (typeof x !== "string") return refused("x is missing");
  return { jwk: { crv, kty: "OKP", x }, algorithms: ["EdDSA"] };
}

/** RFC 7638 §3: SHA-256 over the members that make the key, in the order of their names. */
export function thumbprintOf(jwk: Readonly<Record<string, string>>): string {
  const ordered = Object.fromEntries(Object.entries(jwk).toSorted(([a], [b]) => (a < b ? -1 : 1)));
  return hash("sha256", JSON.stringify(ordered), "base64url");
}

/** RFC 9864 names the curve in `alg`; keys may already say so while tokens still say EdDSA. */
const isFullySpecified = (algorithm: SignatureAlgorithm, alg: unknown): boolean =>
  algorithm === "EdDSA" && alg === "Ed25519";

function toInteger(value: unknown): bigint | undefined {
  if (typeof value !== "string" || !/^[A-Za-z0-9_-]{1,2048}$/.test(value)) return undefined;
  const hex = Buffer.from(value, "base64url").toString("hex");
  return hex === "" ? undefined : BigInt(`0x${hex}`);
}

const refused = (reason: string) => ({ refused: reason });

import { generateKeyPairSync, sign, type KeyObject } from "node:crypto";

/** Signs whatever a test wants to say, rules or not. */
export function makeToken(header: object, payload: unknown, key: KeyObject): string {
  const input = `${encode(header)}.${encode(payload)}`;
  return `${input}.${signature(String((header as { alg?: unknown }).alg), input, key)}`;
}

export const encode = (value: unknown): string =>
  Buffer.from(JSON.stringify(value)).toString("base64url");

export function signature(algorithm: string, input: string, key: KeyObject): string {
  // An algorithm that does not exist is signed as the key can.
  if (!/^(RS|PS|ES)\d{3}$/.test(algorithm)) {
    const digest = key.asymmetricKeyType === "ed25519" ? null : "sha256";
    return sign(digest, Buffer.from(input), key).toString("base64url");
  }
  const digest = `sha${algorithm.slice(2)}`;
  const options = algorithm.startsWith("PS")
    ? { key, padding: 6, saltLength: Number(algorithm.slice(2)) / 8 }
    : { key, dsaEncoding: "ieee-p1363" as const };
  return sign(digest, Buffer.from(input), options).toString("base64url");
}

export interface TestKey {
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
  /** Public, with `kid`. */
  readonly jwk: Readonly<Record<string, unknown>>;
}

/** A fresh key pair for `algorithm`. RSA takes a while: make it once per file. */
export function makeKey(algorithm: string, kid: string): TestKey {
  const pair = generate(algorithm);
  return { ...pair, jwk: { ...pair.publicKey.export({ format: "jwk" }), kid } };
}

function generate(algorithm: string) {
  if (algorithm === "EdDSA") return generateKeyPairSync("ed25519");
  if (algorithm.startsWith("ES")) {
    const namedCurve = { ES256: "P-256", ES384: "P-384", ES512: "P-521" }[algorithm] ?? "P-256";
    return generateKeyPairSync("ec", { namedCurve });
  }
  return generateKeyPairSync("rsa", { modulusLength: 2_048 });
}

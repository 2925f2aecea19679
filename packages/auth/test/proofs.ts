// What tests of DPoP share: a client with a key that says whatever a test wants it to say.

import { hash, randomUUID } from "node:crypto";
import { thumbprintOf } from "../src/verification-key.ts";
import { makeKey, makeToken } from "./tokens.ts";

/** A client's key, and proofs by it. */
export function dpopClient(algorithm: "ES256" | "EdDSA" | "RS256" = "ES256") {
  const { jwk, privateKey } = makeKey(algorithm, "client");
  const { kty, crv, x, y, n, e } = jwk as Record<string, string>;
  const publicJwk = Object.fromEntries(
    Object.entries({ kty, crv, x, y, n, e }).filter(([, value]) => value !== undefined),
  ) as Record<string, string>;
  return {
    publicJwk,
    privateKey,
    thumbprint: thumbprintOf(publicJwk),
    /** A proof for a GET of `htu` with `token`, unless `claims` and `header` say otherwise. */
    prove(
      { token, htu, iat }: { readonly token: string; readonly htu: string; readonly iat: number },
      claims: object = {},
      header: object = {},
    ): string {
      const ath = hash("sha256", token, "base64url");
      return makeToken(
        { typ: "dpop+jwt", alg: algorithm, jwk: publicJwk, ...header },
        { jti: randomUUID(), htm: "GET", htu, iat, ath, ...claims },
        privateKey,
      );
    },
  };
}

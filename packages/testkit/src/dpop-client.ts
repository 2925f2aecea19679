import { hash, randomUUID } from "node:crypto";
import { calculateJwkThumbprint, exportJWK, generateKeyPair, SignJWT } from "jose";

/** A client that can prove that it has the key its tokens are bound to (RFC 9449). */
export interface DpopClient {
  /** For a token's `cnf.jkt`. */
  readonly thumbprint: string;
  /** A proof for a GET of `htu` with `token`, made now; `claims` replaces, adds, and removes where it is undefined. */
  prove(
    use: { readonly token: string; readonly htu: string },
    claims?: Readonly<Record<string, unknown>>,
  ): Promise<string>;
}

export async function dpopClient(): Promise<DpopClient> {
  const { privateKey, publicKey } = await generateKeyPair("ES256");
  const jwk = await exportJWK(publicKey);
  return {
    thumbprint: await calculateJwkThumbprint(jwk),
    prove: ({ token, htu }, claims = {}) =>
      new SignJWT({
        jti: randomUUID(),
        htm: "GET",
        htu,
        ath: hash("sha256", token, "base64url"),
        iat: Math.floor(Date.now() / 1_000),
        ...claims,
      })
        .setProtectedHeader({ typ: "dpop+jwt", alg: "ES256", jwk })
        .sign(privateKey),
  };
}

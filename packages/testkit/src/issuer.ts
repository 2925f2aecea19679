// A real issuer of access tokens, as small as tests need it: discovery, a key set, and tokens that check out.

import { createServer, type ServerResponse } from "node:http";
import { once } from "node:events";
import { randomUUID } from "node:crypto";
import { exportJWK, generateKeyPair, SignJWT, type JWK, type JWTPayload } from "jose";
import { systemClock, type Clock } from "@tidegate/clock";

export type IssuerAlgorithm = "RS256" | "ES256" | "EdDSA";

/**
 * How the issuer fails, when it is told to: answers 500, answers something that is not JSON, takes the request and never
 * answers, or cuts the connection.
 */
export type Outage = "none" | "error" | "garbage" | "silence" | "cut";

export interface Issuer extends AsyncDisposable {
  /** The issuer's name and address, such as `http://127.0.0.1:4711`. */
  readonly url: string;
  /** How often each document was asked for, failures included. */
  readonly fetches: { readonly discovery: number; readonly jwks: number };
  /** Takes effect at the next request. */
  outage: Outage;
  /** Fields added to the answers, such as `cache-control`. */
  answerFields: Readonly<Record<string, string>>;
  /**
   * An access token in the form of RFC 9068: of `ada`, for `https://api.test`, five minutes long. `claims` replaces or
   * adds, and removes where the value is undefined; so does `header`. Signed with the newest key of `algorithm`.
   */
  mint(
    claims?: Readonly<Record<string, unknown>>,
    options?: {
      readonly algorithm?: IssuerAlgorithm;
      readonly header?: Readonly<Record<string, unknown>>;
    },
  ): Promise<string>;
  /** Makes a new key for every algorithm. The old keys stay published if asked to. */
  rotate(options: { readonly keepsOld: boolean }): Promise<void>;
  /** The published key set. */
  keySet(): { keys: JWK[] };
}

interface SigningKey {
  readonly algorithm: IssuerAlgorithm;
  readonly id: string;
  readonly privateKey: CryptoKey;
  readonly published: JWK;
}

/**
 * Starts an issuer on a free port of 127.0.0.1.
 * @param options.algorithms the kinds of keys it has; `mint` uses the first unless told
 * @param options.clock what `iat` and `exp` are taken from
 */
export async function issuer(
  options: { readonly algorithms?: readonly IssuerAlgorithm[]; readonly clock?: Clock } = {},
): Promise<Issuer> {
  const { algorithms = ["RS256", "ES256", "EdDSA"], clock = systemClock } = options;
  let newest = await Promise.all(algorithms.map(makeKey));
  let retired: SigningKey[] = [];
  const fetches = { discovery: 0, jwks: 0 };
  const keySet = (): { keys: JWK[] } => ({
    keys: [...newest, ...retired].map((key) => key.published),
  });

  const server = createServer((request, response) => {
    if (request.url === "/jwks.json") {
      fetches.jwks += 1;
      answer(self, response, keySet());
    } else if (
      request.url === "/.well-known/openid-configuration" ||
      request.url === "/.well-known/oauth-authorization-server"
    ) {
      fetches.discovery += 1;
      answer(self, response, discovery(self.url, algorithms));
    } else {
      response.writeHead(404).end();
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string")
    throw new Error("Cannot listen on 127.0.0.1");

  const self: Issuer = {
    url: `http://127.0.0.1:${address.port}`,
    fetches,
    outage: "none",
    answerFields: {},
    mint(claims = {}, { algorithm = algorithms[0], header = {} } = {}) {
      const key = newest.find((one) => one.algorithm === algorithm);
      if (!key)
        throw new Error(`Cannot mint with ${algorithm}: this issuer has ${algorithms.join(", ")}`);
      const nowSeconds = Math.floor(clock.wallMs() / 1_000);
      const payload: JWTPayload = {
        iss: self.url,
        sub: "ada",
        aud: "https://api.test",
        client_id: "test-client",
        iat: nowSeconds,
        exp: nowSeconds + 300,
        auth_time: nowSeconds,
        jti: randomUUID(),
        ...claims,
      };
      const protectedHeader = { alg: key.algorithm, typ: "at+jwt", kid: key.id, ...header };
      return new SignJWT(payload).setProtectedHeader(protectedHeader).sign(key.privateKey);
    },
    async rotate({ keepsOld }) {
      retired = keepsOld ? [...newest, ...retired] : [];
      newest = await Promise.all(algorithms.map(makeKey));
    },
    keySet,
    async [Symbol.asyncDispose]() {
      if (!server.listening) return;
      server.close();
      server.closeAllConnections();
      await once(server, "close");
    },
  };
  return self;
}

function discovery(url: string, algorithms: readonly IssuerAlgorithm[]): object {
  return {
    issuer: url,
    jwks_uri: `${url}/jwks.json`,
    authorization_endpoint: `${url}/authorize`,
    token_endpoint: `${url}/token`,
    response_types_supported: ["code"],
    subject_types_supported: ["public"],
    id_token_signing_alg_values_supported: algorithms,
  };
}

function answer(issuing: Issuer, response: ServerResponse, document: object): void {
  switch (issuing.outage) {
    case "none":
      response.writeHead(200, { "content-type": "application/json", ...issuing.answerFields });
      response.end(JSON.stringify(document));
      return;
    case "error":
      response.writeHead(500, issuing.answerFields).end("out of order");
      return;
    case "garbage":
      response.writeHead(200, { "content-type": "application/json" }).end("<html>");
      return;
    case "silence":
      return;
    case "cut":
      response.destroy();
  }
}

async function makeKey(algorithm: IssuerAlgorithm): Promise<SigningKey> {
  const { privateKey, publicKey } = await generateKeyPair(algorithm);
  const id = `${algorithm}-${randomUUID()}`;
  const published = { ...(await exportJWK(publicKey)), kid: id, alg: algorithm, use: "sig" };
  return { algorithm, id, privateKey, published };
}

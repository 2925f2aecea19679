import { generateKeyPairSync, sign, type KeyObject } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

/** What a test says about a call; members given replace or, when undefined, remove those of a good assertion. */
export interface AssertionOverrides {
  readonly header?: Readonly<Record<string, unknown>>;
  readonly claims?: Readonly<Record<string, unknown>>;
  /** Another key than the published one. */
  readonly key?: KeyObject;
}

/** The two things of the gateway that a service meets: a published key, and assertions signed with it. */
export interface GatewayStandIn extends AsyncDisposable {
  readonly url: string;
  readonly jwksUrl: URL;
  readonly publicKey: KeyObject;
  assertion(subject: string, overrides?: AssertionOverrides): string;
  /** Keys are answered only while this is set. */
  isUp: boolean;
}

export async function gatewayStandIn(): Promise<GatewayStandIn> {
  const { publicKey, privateKey } = generateKeyPairSync("ed25519");
  const jwk = { ...publicKey.export({ format: "jwk" }), kid: "k1", alg: "EdDSA", use: "sig" };
  const server = createServer((_request, response) => {
    if (!standIn.isUp) return response.writeHead(503).end();
    return response
      .setHeader("content-type", "application/json")
      .end(JSON.stringify({ keys: [jwk] }));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const standIn: GatewayStandIn = {
    url,
    jwksUrl: new URL("/.tidegate/jwks.json", url),
    publicKey,
    isUp: true,
    assertion(subject, overrides = {}) {
      const now = Math.floor(Date.now() / 1000);
      const header = {
        typ: "tidegate-assertion+jwt",
        alg: "EdDSA",
        kid: "k1",
        ...overrides.header,
      };
      const claims = {
        iss: url,
        aud: "tasks",
        iat: now,
        exp: now + 60,
        jti: "j1",
        src: "https://people.example/",
        sub: subject,
        scope: "tasks:read tasks:write",
        client_id: "curl",
        ...overrides.claims,
      };
      const text = [header, claims]
        .map((part) => Buffer.from(JSON.stringify(part)).toString("base64url"))
        .join(".");
      const signature =
        header.alg === "none"
          ? ""
          : sign(null, Buffer.from(text), overrides.key ?? privateKey).toString("base64url");
      return `${text}.${signature}`;
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
  return standIn;
}

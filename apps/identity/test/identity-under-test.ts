import { writeFileSync } from "node:fs";
import { Writable } from "node:stream";
import { systemClock, systemRandom, type Clock } from "@tidegate/clock";
import { createLogger } from "@tidegate/service-kit";
import { tempFolder } from "@tidegate/testkit";
import * as client from "openid-client";
import type { ClientRateLimit } from "../src/provider/client-rate.ts";
import type { Level } from "../src/provider/levels.ts";
import { startIdentity, type IdentityServer } from "../src/server.ts";
import { flowBrowser, type FlowBrowser, type Shown } from "./flow-browser.ts";

export const API = "https://api.example";
export const OPAQUE_API = "https://opaque.example";
export const CALLBACK = "http://127.0.0.1:9/callback";
export const SIGNED_OUT = "http://127.0.0.1:9/signed-out";
export const PASSWORD = "correct horse battery staple";
const SECRET = "a-secret-of-more-than-128-bits-for-tests";

export interface IdentityUnderTest extends AsyncDisposable {
  readonly server: IdentityServer;
  readonly issuer: string;
  readonly folder: string;
  /** Lines of the log so far. */
  readonly log: () => readonly Record<string, unknown>[];
  readonly adaId: string;
  browser(userAgent?: string): FlowBrowser;
  /** An honest client. `gateway` unless told otherwise. */
  relyingParty(id?: string): Promise<RelyingParty>;
  /** Stops and starts it on the same data and port. */
  restart(): Promise<void>;
}

export interface RelyingParty {
  readonly config: client.Configuration;
  /** An authorization request, and what redeems its answer. */
  begin(parameters?: Readonly<Record<string, string>>): Promise<{
    readonly url: string;
    redeem(callback: string): Promise<Tokens>;
  }>;
  /** The whole sign-in in this browser. */
  signIn(
    browser: FlowBrowser,
    options?: {
      readonly login?: string;
      readonly password?: string;
      readonly parameters?: Readonly<Record<string, string>>;
    },
  ): Promise<Tokens>;
}

export type Tokens = client.TokenEndpointResponse & client.TokenEndpointResponseHelpers;

export const RESOURCES = [
  {
    identifier: API,
    format: "jwt",
    scopes: ["tasks:read", "tasks:write"],
    permissions: { "tasks:read": "see your tasks" },
  },
  {
    identifier: OPAQUE_API,
    format: "opaque",
    scopes: ["things:read"],
    introspectedBy: ["introspector"],
  },
];

export const CLIENTS = [
  {
    id: "gateway",
    name: "The gateway",
    kind: "web",
    secret: SECRET,
    redirectUris: [CALLBACK],
    signOutUris: [SIGNED_OUT],
    resources: [API, OPAQUE_API],
    consent: "implied",
    basicScopes: ["tasks:read", "tasks:write"],
  },
  {
    id: "stranger",
    name: "Stranger & Sons",
    kind: "web",
    secret: SECRET,
    redirectUris: [CALLBACK],
    signOutUris: [SIGNED_OUT],
    resources: [API],
  },
  {
    id: "profile-only",
    name: "Profile",
    kind: "web",
    secret: SECRET,
    redirectUris: [CALLBACK],
    consent: "implied",
  },
  {
    id: "page",
    name: "Page",
    kind: "browser",
    redirectUris: ["http://localhost:9/page"],
    resources: [API],
    consent: "implied",
  },
  {
    id: "robot",
    name: "Robot",
    kind: "service",
    secret: SECRET,
    resources: [API],
    serviceScopes: ["tasks:read"],
  },
  {
    id: "introspector",
    name: "Introspector",
    kind: "service",
    secret: SECRET,
    resources: [API],
    serviceScopes: ["tasks:read"],
  },
];

export async function startIdentityUnderTest(
  options: {
    readonly clock?: Clock;
    readonly clients?: readonly object[];
    readonly resources?: readonly object[];
    readonly isRegistrationOpen?: boolean;
    readonly levels?: readonly Level[];
    readonly clientRate?: ClientRateLimit;
  } = {},
): Promise<IdentityUnderTest> {
  await using stack = new AsyncDisposableStack();
  const folder = stack.use(await tempFolder());
  const clientsFile = folder.file("clients.json");
  const file = { resources: options.resources ?? RESOURCES, clients: options.clients ?? CLIENTS };
  writeFileSync(clientsFile, JSON.stringify(file));
  const lines: Record<string, unknown>[] = [];
  const destination = new Writable({
    write(chunk: Buffer, _encoding, written) {
      for (const line of chunk.toString().split("\n")) {
        if (line !== "") lines.push(JSON.parse(line) as Record<string, unknown>);
      }
      written();
    },
  });
  const start = (port: number): Promise<IdentityServer> =>
    startIdentity({
      host: "127.0.0.1",
      port,
      adminPort: 0,
      publicUrl: undefined,
      dataFolder: folder.file("data"),
      clientsFile,
      trustedProxies: [],
      mail: { smtpUrl: undefined, from: "Tidegate <no-reply@localhost>" },
      isRegistrationOpen: options.isRegistrationOpen ?? true,
      ...(options.levels && { levels: options.levels }),
      ...(options.clientRate && { clientRate: options.clientRate }),
      clock: options.clock ?? systemClock,
      random: systemRandom,
      logger: createLogger({ service: "identity", level: "info", destination }),
    });
  let server = await start(0);
  stack.defer(() => server[Symbol.asyncDispose]());
  const issuer = server.publicUrl;
  const { id: adaId } = await createPerson(server, "ada");
  await createPerson(server, "grace");
  const open = stack.move();
  return {
    get server() {
      return server;
    },
    issuer,
    folder: folder.file("data"),
    log: () => lines,
    adaId,
    browser: (userAgent) => flowBrowser(issuer, userAgent === undefined ? {} : { userAgent }),
    relyingParty: (id = "gateway") => relyingParty(issuer, id),
    async restart() {
      await server[Symbol.asyncDispose]();
      server = await start(Number(new URL(issuer).port));
    },
    [Symbol.asyncDispose]: () => open.disposeAsync(),
  };
}

async function createPerson(server: IdentityServer, loginName: string): Promise<{ id: string }> {
  const passwordHash = await server.people.passwords.hash(PASSWORD);
  const person = await server.people.store.create({
    loginName,
    displayName: loginName === "ada" ? "Ada Lovelace" : "Grace Hopper",
    email: `${loginName}@example.org`,
    isEmailVerified: true,
    passwordHash: passwordHash ?? "",
  });
  if (person === undefined) throw new Error(`Cannot create ${loginName}`);
  return person;
}

async function relyingParty(issuer: string, id: string): Promise<RelyingParty> {
  const isPublic = id === "page";
  const config = await client.discovery(
    new URL(issuer),
    id,
    undefined,
    isPublic ? client.None() : client.ClientSecretBasic(SECRET),
    { execute: [client.allowInsecureRequests] },
  );
  const redirect = isPublic ? "http://localhost:9/page" : CALLBACK;
  const begin: RelyingParty["begin"] = async (parameters = {}) => {
    const verifier = client.randomPKCECodeVerifier();
    const state = client.randomState();
    const nonce = client.randomNonce();
    const url = client.buildAuthorizationUrl(config, {
      redirect_uri: redirect,
      scope: "openid profile email tasks:read",
      code_challenge: await client.calculatePKCECodeChallenge(verifier),
      code_challenge_method: "S256",
      state,
      nonce,
      ...parameters,
    });
    return {
      url: url.href,
      redeem: (callback) =>
        client.authorizationCodeGrant(config, new URL(callback), {
          pkceCodeVerifier: verifier,
          expectedState: state,
          expectedNonce: nonce,
          ...(parameters["max_age"] !== undefined && { maxAge: Number(parameters["max_age"]) }),
        }),
    };
  };
  return {
    config,
    begin,
    async signIn(browser, options = {}) {
      const request = await begin(options.parameters);
      let shown: Shown = await browser.open(request.url);
      if (!shown.isForeign) {
        shown = await browser.submit({
          login: options.login ?? "ada",
          password: options.password ?? PASSWORD,
        });
      }
      if (!shown.isForeign) throw new Error(`No answer for the client: ${shown.url} ${shown.text}`);
      return request.redeem(shown.url);
    },
  };
}

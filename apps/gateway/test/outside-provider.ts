// Two OpenID providers, each a program of its own, told apart by nothing but what the gateway's configuration says.

import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { startGlewlwyd, startProcess, tempFolder } from "@tidegate/testkit";
import * as client from "openid-client";
import type { GatewayOptions } from "./http-harness.ts";
import { TestBrowser, type BrowserAnswer } from "./test-browser.ts";

type Identity = NonNullable<GatewayOptions["identity"]>[string];

export interface OutsideProvider extends AsyncDisposable {
  readonly issuer: string;
  /** What stands under `identity` for it: people who sign in in the browser, and bearers of JWTs. */
  readonly people: Identity;
  /** The same for tokens that the gateway asks the provider about (RFC 7662). */
  readonly asked: {
    readonly identity: Identity;
    readonly resource: string;
    /** Whose tokens the provider tells the gateway about. */
    readonly client: string;
  };
  /** What a route may ask of a sign-in here with success; empty where the provider says nothing about it. */
  readonly levels: readonly string[];
  /** How many access tokens it has issued to the gateway, by its own log. */
  issuedToGateway(): number;
  person(name: string): Promise<OutsidePerson>;
  /** Tokens of an application that is not the gateway. */
  tokens(person: OutsidePerson, wanted: WantedTokens): Promise<AppTokens>;
}

/** Somebody with a browser in which they sign in at the provider. */
export interface OutsidePerson {
  /** From an authorization request to where the provider sends the browser back. */
  authorize(url: URL): Promise<URL>;
  /** Ends the session at the provider, without a word to the gateway. */
  endSession(): Promise<void>;
}

export interface WantedTokens {
  readonly resource: string;
  /** Default: an application's own. */
  readonly client?: string;
}

export interface AppTokens {
  readonly access: string;
  readonly id: string;
  readonly subject: string;
  /** Gives the access token back to the provider (RFC 7009). */
  revoke(): Promise<void>;
}

export const PEOPLE = ["ada", "grace"] as const;
export const PASSWORD = "correct horse battery staple";
/** Letters and digits alone: what has to be encoded in Basic (RFC 6749 §2.3.1) is not decoded by every provider. */
const SECRET = "aSecretOfTheGatewayThatNobodyGuesses42";
const APP = { id: "app", redirectUri: "http://127.0.0.1:9/callback" };

/** The one in the box: its process, its clients file, its pages. @param url the gateway's own origin */
export async function embeddedProvider(
  url: string,
): Promise<OutsideProvider & { administer(path: string, body?: object): Promise<void> }> {
  await using parts = new AsyncDisposableStack();
  const folder = parts.use(await tempFolder());
  const data = folder.file("data");
  const clientsFile = folder.file("clients.json");
  const opaque = `${url}/opaque`;
  const scopes = ["tasks:read", "tasks:write"];
  const common = { kind: "web", secret: SECRET, resources: [url, opaque], consent: "implied" };
  await writeFile(
    clientsFile,
    JSON.stringify({
      resources: [
        { identifier: url, format: "jwt", scopes },
        { identifier: opaque, format: "opaque", scopes, introspectedBy: ["gateway"] },
      ],
      clients: [
        {
          ...common,
          id: "gateway",
          name: "The gateway",
          redirectUris: [`${url}/.tidegate/callback`],
          signOutUris: [`${url}/.tidegate/signed-out`],
          backchannelLogoutUri: `${url}/.tidegate/backchannel-logout`,
        },
        { ...common, id: APP.id, name: "An application", redirectUris: [APP.redirectUri] },
      ],
    }),
  );
  const server = parts.use(
    await startProcess({
      args: [fileURLToPath(new URL("../../identity/src/main.ts", import.meta.url))],
      env: {
        IDENTITY_PORT: "0",
        IDENTITY_ADMIN_PORT: "0",
        IDENTITY_DATA: data,
        IDENTITY_CLIENTS_FILE: clientsFile,
      },
      readyWhen: "identity.listening",
    }),
  );
  const lines = (): Record<string, string>[] =>
    server
      .stdout()
      .split("\n")
      .filter((line) => line.startsWith("{"))
      .map((line) => JSON.parse(line) as Record<string, string>);
  const { publicUrl: issuer = "", adminUrl = "" } =
    lines().find(({ event }) => event === "identity.listening") ?? {};
  const token = (await readFile(join(data, "admin-token"), "utf8")).trim();
  const administer = async (path: string, body: object = {}): Promise<void> => {
    const answer = await fetch(`${adminUrl}${path}`, {
      method: "POST",
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    if (!answer.ok) throw new Error(`Cannot ask for ${path}: ${await answer.text()}`);
  };
  for (const loginName of PEOPLE) {
    const email = `${loginName}@example.org`;
    await administer("/people", { loginName, email, password: PASSWORD });
  }
  const owned = parts.move();
  return {
    issuer,
    administer,
    people: {
      kind: "oidc",
      preset: "embedded",
      issuer,
      audience: url,
      client: { id: "gateway", secret: SECRET },
      browser: { scopes: ["openid", "profile", "offline_access", "tasks:read", "tasks:write"] },
    },
    asked: {
      identity: {
        kind: "oidc",
        preset: "embedded",
        issuer,
        audience: opaque,
        tokenFormat: "opaque",
        client: { id: "gateway", secret: SECRET },
        introspection: { rememberSeconds: 0 },
      },
      resource: opaque,
      client: APP.id,
    },
    levels: ["urn:tidegate:acr:pwd"],
    issuedToGateway: () =>
      lines().filter((line) => line["event"] === "token.issued" && line["clientId"] === "gateway")
        .length,
    person: (name) => Promise.resolve(personWithPages(issuer, name)),
    tokens: (person, wanted) => appTokens(issuer, person, wanted),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** Somebody else's: Debian's glewlwyd. It says neither how nor when a person signed in. */
export async function glewlwydProvider(
  url: string,
  options: { readonly callback?: string } = {},
): Promise<OutsideProvider & { changeSubject(from: string, to: string): void }> {
  const redirectUris = [options.callback ?? `${url}/.tidegate/callback`, APP.redirectUri];
  const backchannelLogoutUri = `${url}/.tidegate/backchannel-logout`;
  const provider = await startGlewlwyd({
    people: PEOPLE.map((name) => ({ name, password: PASSWORD })),
    clients: [
      { id: "gateway", secret: SECRET, redirectUris, backchannelLogoutUri },
      { id: APP.id, secret: SECRET, redirectUris: [APP.redirectUri] },
    ],
    scopes: ["tasks:read", "tasks:write"],
    resource: url,
  });
  const { issuer } = provider;
  const common = { kind: "oidc" as const, issuer, audience: url };
  return {
    issuer,
    people: {
      ...common,
      client: { id: "gateway", secret: SECRET },
      // Its refresh tokens come without `offline_access`, which it does not know.
      browser: { scopes: ["openid", "tasks:read", "tasks:write"] },
      extraAuthParams: { resource: url },
      // It speaks a draft of back-channel logout: `JWT`, and no `exp`.
      logoutTokenTypes: ["logout+jwt", "JWT"],
    },
    asked: {
      identity: {
        ...common,
        tokenFormat: "opaque",
        client: { id: "gateway", secret: SECRET },
        introspection: { rememberSeconds: 0 },
      },
      resource: url,
      // It tells each client about that client's own tokens alone.
      client: "gateway",
    },
    levels: [],
    issuedToGateway: () =>
      provider.process.output().split("Access token generated for client 'gateway'").length - 1,
    async person(name) {
      const person = await provider.signIn(name, PASSWORD);
      return {
        authorize: (asked) => person.authorize(asked.href),
        endSession: () => person.endSession(),
      };
    },
    tokens: (person, wanted) => appTokens(issuer, person, wanted),
    changeSubject: (from, to) => provider.changeSubject(from, to),
    [Symbol.asyncDispose]: () => provider[Symbol.asyncDispose](),
  };
}

/** Fills in the provider's own pages. */
function personWithPages(issuer: string, name: string): OutsidePerson {
  const browser = new TestBrowser();
  const fill = async (page: BrowserAnswer, fields: Readonly<Record<string, string>>) => {
    const action = /<form method="post" action="([^"]*)"/.exec(page.body)?.[1];
    if (action === undefined) throw new Error(`No form at ${page.url.href}: ${page.body}`);
    const hidden = page.body.matchAll(/<input type="hidden" name="([^"]*)" value="([^"]*)"/g);
    const body = new URLSearchParams([
      ...[...hidden].map(([, field = "", value = ""]) => [field, value] as [string, string]),
      ...Object.entries(fields),
    ]).toString();
    return browser.open(new URL(action.replaceAll("&amp;", "&"), page.url), {
      method: "POST",
      site: "same-origin",
      headers: { "content-type": "application/x-www-form-urlencoded", origin: issuer },
      body,
    });
  };
  return {
    async authorize(url) {
      const stops = ({ origin }: URL): boolean => origin !== issuer;
      let answer = await browser.go(url, { stops });
      if (answer.location === undefined) {
        const sent = await fill(answer, { login: name, password: PASSWORD });
        if (sent.location === undefined) throw new Error(`Cannot sign in: ${sent.body}`);
        answer = await browser.go(sent.location, { stops });
      }
      if (answer.location === undefined) throw new Error(`No way back: ${answer.body}`);
      return answer.location;
    },
    async endSession() {
      const page = await browser.go(`${issuer}/sign-out`);
      const sent = await fill(page, { logout: "yes" });
      if (sent.status !== 303) throw new Error(`Cannot sign out: ${sent.status} ${sent.body}`);
    },
  };
}

/** An application that signs people in by itself and calls with what it got. */
async function appTokens(
  issuer: string,
  person: OutsidePerson,
  { resource, client: clientId = APP.id }: WantedTokens,
): Promise<AppTokens> {
  const config = await client.discovery(
    new URL(issuer),
    clientId,
    undefined,
    client.ClientSecretBasic(SECRET),
    { execute: [client.allowInsecureRequests] },
  );
  const verifier = client.randomPKCECodeVerifier();
  const state = client.randomState();
  const nonce = client.randomNonce();
  const url = client.buildAuthorizationUrl(config, {
    redirect_uri: APP.redirectUri,
    scope: "openid tasks:read",
    resource,
    state,
    nonce,
    code_challenge: await client.calculatePKCECodeChallenge(verifier),
    code_challenge_method: "S256",
  });
  const tokens = await client.authorizationCodeGrant(
    config,
    await person.authorize(url),
    {
      pkceCodeVerifier: verifier,
      expectedState: state,
      expectedNonce: nonce,
      idTokenExpected: true,
    },
    { resource },
  );
  return {
    access: tokens.access_token,
    id: tokens.id_token ?? "",
    subject: tokens.claims()?.sub ?? "",
    revoke: () => client.tokenRevocation(config, tokens.access_token),
  };
}

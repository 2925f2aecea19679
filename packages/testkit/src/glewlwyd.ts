// An OpenID provider that is nobody's of ours: Debian's glewlwyd, a C program. A product that knows providers only by
// issuer URL and standard endpoints has to work with it by configuration alone.

import { generateKeyPairSync } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { DatabaseSync } from "node:sqlite";
import { freePort } from "./free-port.ts";
import { startProcess, type RunningProcess } from "./process.ts";
import { tempFolder } from "./temp-folder.ts";

export interface GlewlwydOptions {
  readonly people: readonly { readonly name: string; readonly password: string }[];
  readonly clients: readonly {
    readonly id: string;
    readonly secret: string;
    readonly redirectUris: readonly string[];
    readonly backchannelLogoutUri?: string;
  }[];
  /** Scopes that every person may have, beside `openid`. */
  readonly scopes: readonly string[];
  /** RFC 8707 resource that clients may ask access tokens for; an `http://localhost` or `https` URL. */
  readonly resource: string;
}

export interface Glewlwyd extends AsyncDisposable {
  /** Issuer URL; the discovery document stands below it. */
  readonly issuer: string;
  readonly process: RunningProcess;
  /** A browser of its own: it holds the provider's cookies, and signs in as its pages would. */
  signIn(name: string, password: string): Promise<GlewlwydPerson>;
  /** Gives somebody who has tokens already the `sub` that somebody else has at another provider. */
  changeSubject(from: string, to: string): void;
}

export interface GlewlwydPerson {
  /**
   * Walks an authorization request to its end: grants what is asked and returns where the provider sends the browser.
   * @param url the authorization endpoint with its parameters
   */
  authorize(url: string): Promise<URL>;
  /** Sends a request as this browser would, without following redirects. */
  visit(
    url: string,
    init?: { readonly method?: string; readonly body?: string },
  ): Promise<Response>;
  /** Ends the provider's session in this browser, as the page behind `end_session` does: clients get logout tokens. */
  endSession(): Promise<void>;
}

// Debian keeps the tables here and not under /usr/share/doc, which slim machines leave out.
const TABLES = "/usr/share/dbconfig-common/data/glewlwyd/install/sqlite3";
const MODULES = "/usr/lib/glewlwyd";
// What Debian's tables bring; the server listens on loopback and lives as long as a test.
const ADMINISTRATOR = { username: "admin", password: "password" };
const PLUGIN = "oidc";
/** What is in it is the `sid` of its tokens. */
const SESSION_COOKIE = "GLEWLWYD2_OIDC_SESSION";

/** Starts glewlwyd on loopback with an SQLite database of its own and an OpenID Connect plugin. */
export async function startGlewlwyd(options: GlewlwydOptions): Promise<Glewlwyd> {
  await using owned = new AsyncDisposableStack();
  const folder = owned.use(await tempFolder());
  const port = await freePort();
  const origin = `http://localhost:${port}`;
  const database = folder.file("glewlwyd.db");
  const tables = new DatabaseSync(database);
  tables.exec(await readFile(TABLES, "utf8"));
  tables.close();
  const settings = folder.file("glewlwyd.conf");
  await writeFile(settings, configuration({ port, origin, database }));
  const server = owned.use(
    await startProcess({
      command: "glewlwyd",
      args: ["--config-file", settings],
      readyWhen: "Glewlwyd started on port",
    }),
  );
  const issuer = `${origin}/api/${PLUGIN}`;
  const administrator = new Browser(origin);
  await administrator.send("POST", "/api/auth/", ADMINISTRATOR);
  for (const name of options.scopes)
    await administrator.send("POST", "/api/scope/", {
      name,
      display_name: name,
      password_required: true,
      password_max_age: 0,
      scheme: {},
      scheme_required: {},
    });
  const scope = ["openid", ...options.scopes];
  await administrator.send("POST", "/api/mod/plugin/", {
    module: "oidc",
    name: PLUGIN,
    display_name: "OpenID Connect",
    parameters: pluginParameters({ issuer, scopes: scope }),
  });
  for (const { name, password } of options.people)
    await administrator.send("POST", "/api/user/", {
      username: name,
      name,
      email: `${name}@example.test`,
      password,
      enabled: true,
      scope: ["g_profile", ...scope],
    });
  for (const client of options.clients)
    await administrator.send("POST", "/api/client/", {
      client_id: client.id,
      name: client.id,
      confidential: true,
      password: client.secret,
      client_secret: client.secret,
      enabled: true,
      scope: [],
      redirect_uri: client.redirectUris,
      authorization_type: ["code", "refresh_token", "client_credentials"],
      token_endpoint_auth_method: ["client_secret_basic", "client_secret_post"],
      resource: [options.resource],
      ...(client.backchannelLogoutUri === undefined
        ? {}
        : {
            backchannel_logout_uri: client.backchannelLogoutUri,
            // Its client store knows texts only.
            backchannel_logout_session_required: "true",
          }),
    });
  const parts = owned.move();
  return {
    issuer,
    process: server,
    async signIn(username, password) {
      const browser = new Browser(origin);
      await browser.send("POST", "/api/auth/", { username, password });
      return personOf(browser, issuer);
    },
    changeSubject(from, to) {
      using table = new DatabaseSync(database);
      const { changes } = table
        .prepare("UPDATE gpo_subject_identifier SET gposi_sub = ? WHERE gposi_sub = ?")
        .run(to, from);
      if (changes !== 1) throw new Error(`Cannot find the subject ${from}`);
    },
    [Symbol.asyncDispose]: () => parts.disposeAsync(),
  };
}

function personOf(browser: Browser, issuer: string): GlewlwydPerson {
  return {
    visit: (url, init = {}) => browser.visit(url, init),
    async endSession() {
      const session = browser.cookie(SESSION_COOKIE) ?? "";
      const ended = await browser.visit(`${issuer}/session/${session}`, { method: "DELETE" });
      if (!ended.ok) throw new Error(`Cannot end the session: ${ended.status}`);
      await browser.visit(`${new URL(issuer).origin}/api/auth/`, { method: "DELETE" });
    },
    async authorize(url) {
      const asked = new URL(url);
      const client = asked.searchParams.get("client_id") ?? "";
      await browser.send("PUT", `/api/auth/grant/${client}`, {
        scope: asked.searchParams.get("scope") ?? "",
      });
      // Its own page adds this when the person has granted, so that it is not asked again.
      asked.searchParams.set("g_continue", "");
      const answer = await browser.visit(asked.href);
      const location = answer.headers.get("location");
      if (location === null)
        throw new Error(`Cannot authorize: ${answer.status} ${await answer.text()}`);
      return new URL(location, asked);
    },
  };
}

/** What keeps cookies and speaks JSON. */
class Browser {
  readonly #origin: string;
  readonly #cookies = new Map<string, string>();

  constructor(origin: string) {
    this.#origin = origin;
  }

  cookie(name: string): string | undefined {
    return this.#cookies.get(name);
  }

  async send(method: string, path: string, body: object): Promise<void> {
    const answer = await this.visit(`${this.#origin}${path}`, {
      method,
      body: JSON.stringify(body),
    });
    const text = await answer.text();
    if (!answer.ok)
      throw new Error(`Cannot set up glewlwyd: ${method} ${path}: ${answer.status} ${text}`);
  }

  async visit(
    url: string,
    { method = "GET", body }: { readonly method?: string; readonly body?: string } = {},
  ): Promise<Response> {
    const cookie = [...this.#cookies].map(([name, value]) => `${name}=${value}`).join("; ");
    const answer = await fetch(url, {
      method,
      redirect: "manual",
      headers: { cookie, ...(body === undefined ? {} : { "content-type": "application/json" }) },
      ...(body === undefined ? {} : { body }),
    });
    for (const field of answer.headers.getSetCookie()) {
      const [pair = ""] = field.split(";");
      const at = pair.indexOf("=");
      this.#cookies.set(pair.slice(0, at), pair.slice(at + 1));
    }
    return answer;
  }
}

function pluginParameters({
  issuer,
  scopes,
}: {
  issuer: string;
  scopes: readonly string[];
}): object {
  const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  return {
    iss: issuer,
    issuer,
    "jwt-type": "rsa",
    "jwt-key-size": "256",
    key: privateKey.export({ type: "pkcs8", format: "pem" }),
    cert: publicKey.export({ type: "spki", format: "pem" }),
    "access-token-duration": 300,
    "refresh-token-duration": 3600,
    "code-duration": 60,
    "refresh-token-rolling": false,
    "refresh-token-one-use": "never",
    "allow-non-oidc": true,
    "auth-type-code-enabled": true,
    "auth-type-code-revoke-replayed": true,
    "auth-type-token-enabled": false,
    "auth-type-none-enabled": false,
    "auth-type-password-enabled": false,
    "auth-type-client-enabled": true,
    "auth-type-device-enabled": false,
    "auth-type-implicit-enabled": false,
    "auth-type-refresh-enabled": true,
    scope: [],
    "additional-parameters": [],
    claims: [],
    "name-claim": "on-demand",
    "name-claim-scope": [],
    "email-claim": "no",
    "scope-claim": "no",
    "allowed-scope": scopes,
    "pkce-allowed": true,
    "pkce-method-plain-allowed": false,
    "pkce-required": false,
    "pkce-required-public-client": true,
    "introspection-revocation-allowed": true,
    "introspection-revocation-allow-target-client": true,
    "introspection-revocation-auth-scope": [],
    "jwks-show": true,
    "subject-type": "public",
    "session-management-allowed": true,
    "session-cookie-name": SESSION_COOKIE,
    "session-cookie-expiration": 2_419_200,
    "back-channel-logout-allowed": true,
    "front-channel-logout-allowed": false,
    "resource-allowed": true,
    "resource-client-property": "resource",
    "resource-scope": [],
    "resource-scope-and-client-property": false,
    "resource-change-allowed": false,
    "oauth-as-iss-id": true,
  };
}

function configuration({
  port,
  origin,
  database,
}: {
  port: number;
  origin: string;
  database: string;
}): string {
  return `
port=${port}
bind_address="127.0.0.1"
external_url="${origin}"
login_url="login.html"
api_prefix="api"
log_mode="console"
log_level="INFO"
cookie_secure=0
session_expiration=2419200
session_key="GLEWLWYD2_SESSION_ID"
admin_scope="g_admin"
profile_scope="g_profile"
user_module_path="${MODULES}/user"
client_module_path="${MODULES}/client"
user_auth_scheme_module_path="${MODULES}/scheme"
plugin_module_path="${MODULES}/plugin"
hash_algorithm="SHA512"
database = { type = "sqlite3" path = "${database}" };
`;
}

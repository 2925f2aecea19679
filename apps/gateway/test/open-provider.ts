// An OpenID provider that is not ours: the certified oidc-provider, on loopback, in the test's own process. People sign
// in at its one page by saying who they are.

import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { once } from "node:events";
import { generateKeyPairSync } from "node:crypto";
import { Provider, interactionPolicy, type Configuration } from "oidc-provider";

export interface OpenProvider extends AsyncDisposable {
  /** Issuer URL. */
  readonly url: string;
  /** How often each endpoint was asked, by its path. */
  readonly asked: Map<string, number>;
  /** What the next requests to a path get instead of an answer of the provider's. */
  readonly outages: Map<string, number>;
  /** Whether those answers have nothing in them. */
  isTaciturn: boolean;
  /** Runs before a request is answered, by its path. */
  readonly before: Map<string, () => Promise<void>>;
  /** The level that the next sign-ins reach. */
  acr: string;
  /** How long ago the next sign-ins happened, as the provider says. */
  signedInSecondsAgo: number;
  /** What its user-info endpoint says in place of the library's answer. */
  userInfo: object | undefined;
  /** What token endpoint and discovery say, changed on its way. */
  tamper: ((path: string, body: string) => string) | undefined;
}

export const RESOURCE = "https://api.test";

export async function openProvider(options: {
  readonly port?: number;
  /** Our client's callbacks. */
  readonly redirectUris: readonly string[];
  readonly signedOutUri: string;
  readonly accessTokenSeconds?: number;
  readonly clientId?: string;
  /** Whether it names itself in its answers. */
  readonly namesItself?: boolean;
  readonly issuesRefreshTokens?: boolean;
  /** Whether ID tokens say what people are called. */
  readonly namesPeople?: boolean;
}): Promise<OpenProvider> {
  const server = createServer();
  server.listen(options.port ?? 0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("Cannot listen");
  const url = `http://127.0.0.1:${address.port}`;
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const jwk = privateKey.export({ format: "jwk" });
  const key = { ...jwk, alg: "ES256", use: "sig", kid: "test" };
  const policy = interactionPolicy.base();
  policy.get("login")?.checks.add(
    new interactionPolicy.Check("acr_values", "a level is wanted", (context) => {
      const { oidc } = context;
      const wanted = oidc.params?.["acr_values"];
      return typeof wanted === "string" && !wanted.split(" ").includes(oidc.acr ?? "");
    }),
  );
  const configuration: Configuration = {
    clients: [
      {
        client_id: options.clientId ?? "gateway",
        client_secret: "a secret of at least thirty-two characters",
        redirect_uris: [...options.redirectUris],
        post_logout_redirect_uris: [options.signedOutUri],
        grant_types: ["authorization_code", "refresh_token"],
        id_token_signed_response_alg: "ES256",
        // So that ID tokens have `sid`; nothing listens there.
        backchannel_logout_uri: "http://127.0.0.1:1/",
        backchannel_logout_session_required: true,
      },
    ],
    jwks: { keys: [key] as never },
    cookies: { keys: ["test"] },
    pkce: { required: () => true },
    acrValues: ["pwd", "phr"],
    scopes: ["openid", "offline_access", "profile", "tasks:read", "tasks:write"],
    claims: {
      openid: ["sub", "acr", "auth_time", "sid"],
      profile: options.namesPeople === false ? [] : ["name"],
    },
    conformIdTokenClaims: false,
    findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id, name: `Name of ${id}` }) }),
    interactions: { url: (_, interaction) => `/interaction/${interaction.uid}`, policy },
    issueRefreshToken: () => options.issuesRefreshTokens ?? true,
    rotateRefreshToken: true,
    features: {
      devInteractions: { enabled: false },
      revocation: { enabled: true },
      backchannelLogout: { enabled: true },
      rpInitiatedLogout: {
        enabled: true,
        // Signing out needs no second click here.
        logoutSource: (context, form) => {
          context.body = `<!doctype html>${form}`;
        },
      },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => RESOURCE,
        useGrantedResource: () => true,
        getResourceServerInfo: () => ({
          scope: "tasks:read tasks:write",
          audience: RESOURCE,
          accessTokenFormat: "jwt",
          accessTokenTTL: options.accessTokenSeconds ?? 300,
          jwt: { sign: { alg: "ES256" } },
        }),
      },
    },
    async loadExistingGrant({ oidc }) {
      const { client, session, params } = oidc;
      if (client === undefined || session?.accountId === undefined) return undefined;
      const known = session.grantIdFor(client.clientId);
      const existing = known === undefined ? undefined : await oidc.provider.Grant.find(known);
      if (existing !== undefined) return existing;
      const grant = new oidc.provider.Grant({
        accountId: session.accountId,
        clientId: client.clientId,
      });
      const scope = textOf(params?.["scope"]);
      grant.addOIDCScope(scope);
      grant.addResourceScope(RESOURCE, scope);
      await grant.save();
      return grant;
    },
  };
  const provider = new Provider(url, configuration);
  const serve = provider.callback();
  const self: OpenProvider = {
    url,
    asked: new Map(),
    outages: new Map(),
    isTaciturn: false,
    before: new Map(),
    acr: "pwd",
    signedInSecondsAgo: 0,
    userInfo: undefined,
    tamper: undefined,
    async [Symbol.asyncDispose]() {
      server.close();
      server.closeAllConnections();
      await once(server, "close");
    },
  };
  const signIn = async (request: IncomingMessage, answer: ServerResponse): Promise<void> => {
    const who = new URL(request.url ?? "", url).searchParams.get("as");
    if (who === null) {
      answer.end("Who are you?");
      return;
    }
    const result =
      who === "nobody"
        ? { error: "access_denied", error_description: "<script>alert(1)</script>" }
        : {
            login: {
              accountId: who,
              acr: self.acr,
              remember: true,
              ts: Math.floor(Date.now() / 1_000) - self.signedInSecondsAgo,
            },
          };
    await provider.interactionFinished(request, answer, result);
  };
  server.on("request", (request, answer) => {
    void (async () => {
      const { pathname } = new URL(request.url ?? "", url);
      self.asked.set(pathname, (self.asked.get(pathname) ?? 0) + 1);
      await self.before.get(pathname)?.();
      const outage = self.outages.get(pathname);
      if (outage !== undefined) {
        if (self.isTaciturn) {
          answer.writeHead(outage).end();
          return;
        }
        // 400 is how a token endpoint refuses (RFC 6749 §5.2); everything else is an outage.
        answer.writeHead(outage, { "content-type": "application/json" });
        answer.end(outage === 400 ? '{"error":"invalid_grant"}' : "out of order");
        return;
      }
      if (pathname === "/me" && self.userInfo !== undefined) {
        answer.writeHead(200, { "content-type": "application/json" });
        answer.end(JSON.stringify(self.userInfo));
        return;
      }
      if (pathname.startsWith("/interaction/")) return await signIn(request, answer);
      const isDiscovery = pathname === "/.well-known/openid-configuration";
      const tampers = isDiscovery || (pathname === "/token" && self.tamper !== undefined);
      if (tampers) {
        const end = answer.end.bind(answer);
        answer.end = ((body: unknown) => {
          let text = body instanceof Uint8Array ? Buffer.from(body).toString() : textOf(body);
          if (isDiscovery && options.namesItself === false)
            text = text.replace(
              '"authorization_response_iss_parameter_supported":true',
              '"x":true',
            );
          text = self.tamper?.(pathname, text) ?? text;
          answer.setHeader("content-length", Buffer.byteLength(text));
          return end(text);
        }) as typeof answer.end;
      }
      await serve(request, answer);
    })().catch(() => answer.destroy());
  });
  return self;
}

const textOf = (value: unknown): string => (typeof value === "string" ? value : "");

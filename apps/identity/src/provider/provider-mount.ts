import type { ServerResponse } from "node:http";
import { addressKey, type KeyedLimiter } from "@tidegate/limits";
import type { FastifyInstance, FastifyReply, FastifyRequest, HTTPMethods } from "fastify";
import type Provider from "oidc-provider";
import type { KoaContextWithOIDC } from "oidc-provider";
import { pageHeaders, SECURITY_HEADERS } from "../web/page-headers.ts";
import { Refused } from "../web/refused.ts";
import { ROUTES } from "./create-provider.ts";
import { isOurPage, type ProviderPages } from "./provider-pages.ts";

export interface MountOptions {
  /** Asked for every request: the provider is made anew when its keys change. */
  readonly provider: () => Provider;
  readonly issuer: string;
  /** Authorization requests per network: each leaves a row behind for minutes. */
  readonly authorizations: KeyedLimiter;
}

// A token request costs a signature and a few queries: a second's worth of them. Above it: come back.
const MAX_IN_FLIGHT = 256;
// Half of it for one network: bodies that never end (slowloris) from one place leave room for everybody else.
const MAX_IN_FLIGHT_PER_NETWORK = 128;

const ENDPOINTS: readonly { readonly url: string; readonly methods: HTTPMethods[] }[] = [
  { url: ROUTES.authorization, methods: ["GET"] },
  { url: `${ROUTES.authorization}/:uid`, methods: ["GET"] },
  { url: ROUTES.token, methods: ["POST", "OPTIONS"] },
  { url: ROUTES.userinfo, methods: ["GET", "POST", "OPTIONS"] },
  { url: ROUTES.jwks, methods: ["GET", "OPTIONS"] },
  { url: ROUTES.introspection, methods: ["POST", "OPTIONS"] },
  { url: ROUTES.revocation, methods: ["POST", "OPTIONS"] },
  { url: ROUTES.pushed_authorization_request, methods: ["POST", "OPTIONS"] },
  { url: ROUTES.end_session, methods: ["GET"] },
  { url: `${ROUTES.end_session}/success`, methods: ["GET"] },
  { url: "/.well-known/openid-configuration", methods: ["GET", "OPTIONS"] },
  { url: "/.well-known/oauth-authorization-server", methods: ["GET", "OPTIONS"] },
];

/**
 * Hands the protocol's endpoints, and no others, to the library: the request as it came, its body unread. What the library
 * must not believe (host, scheme, address) is written over first.
 */
export function mountProvider(app: FastifyInstance, options: MountOptions): void {
  let inFlight = 0;
  /** By network; as many entries as requests in flight at most. */
  const fromNetwork = new Map<string, number>();
  const hand = async (request: FastifyRequest, reply: FastifyReply): Promise<void> => {
    const network = addressKey(request.ip) ?? request.ip;
    const theirs = fromNetwork.get(network) ?? 0;
    if (inFlight >= MAX_IN_FLIGHT || theirs >= MAX_IN_FLIGHT_PER_NETWORK) throw busy(1);
    if (request.routeOptions.url === ROUTES.authorization) {
      const decision = options.authorizations.take(network);
      if (!decision.isAdmitted) throw busy(Math.ceil(decision.retryAfterMs / 1_000), 429);
    }
    inFlight += 1;
    fromNetwork.set(network, theirs + 1);
    reply.raw.once("close", () => {
      inFlight -= 1;
      const left = (fromNetwork.get(network) ?? 1) - 1;
      if (left === 0) fromNetwork.delete(network);
      else fromNetwork.set(network, left);
    });
    reply.hijack();
    claimOnlyWhatHolds(request, options.issuer);
    sendFieldsAlways(reply.raw);
    // The library answers its own failures; this promise is the answer's, and nobody waits for it.
    void options.provider().callback()(request.raw, reply.raw);
  };
  for (const { url, methods } of ENDPOINTS) {
    app.route({
      method: methods,
      url,
      exposeHeadRoute: false,
      // None of them acts on a cookie alone: a token request proves its client, an authorization request asks the person.
      config: { takesForeignPosts: true },
      onRequest: hand,
      handler: () => {
        throw new Error("The library answers this");
      },
    });
  }
}

function busy(retryAfterSeconds: number, status = 503): Refused {
  return new Refused(status, "Too many requests at once. Please try again in a moment.", {
    fields: { "retry-after": String(Math.max(1, retryAfterSeconds)) },
  });
}

/** The library builds its URLs and cookies from these fields. A client that writes them itself changes nothing. */
function claimOnlyWhatHolds(request: FastifyRequest, issuer: string): void {
  const { host, protocol } = new URL(issuer);
  const { headers } = request.raw;
  headers.host = host;
  headers["x-forwarded-proto"] = protocol.slice(0, -1);
  headers["x-forwarded-for"] = request.ip;
  delete headers["x-forwarded-host"];
}

/** The library clears all fields when it fails; ours are on every answer nevertheless. */
function sendFieldsAlways(response: ServerResponse): void {
  const writeHead = response.writeHead.bind(response) as (...head: unknown[]) => ServerResponse;
  response.writeHead = (...head: unknown[]) => {
    for (const [name, value] of Object.entries({ ...pageHeaders(), ...SECURITY_HEADERS })) {
      if (name === "cache-control" ? isCacheable(response) : response.hasHeader(name)) continue;
      response.setHeader(name, value);
    }
    return writeHead(...head);
  };
}

/** Keys and metadata are public and the same for everybody; whatever else says nothing about caching is not cached. */
function isCacheable(response: ServerResponse): boolean {
  return response.hasHeader("cache-control");
}

/** Middleware around the library's own: what it may not show, and what it says about itself that is not so. */
export function superviseLibrary(
  provider: Provider,
  options: {
    readonly pages: ProviderPages;
    /** Answers a sign-out that needs no confirmation; false when it does. */
    readonly signOutAtOnce: (ctx: KoaContextWithOIDC) => Promise<boolean>;
    readonly tokenAnswered: (ctx: KoaContextWithOIDC) => Promise<void>;
  },
): void {
  provider.use(async (plain, next) => {
    await next();
    const ctx = plain as unknown as KoaContextWithOIDC;
    switch (ctx.oidc?.route) {
      case "discovery":
        describeTruly(ctx);
        break;
      case "end_session":
        if (ctx.status === 200) await options.signOutAtOnce(ctx);
        break;
      case "token":
        await options.tokenAnswered(ctx);
        break;
      case "jwks":
        ctx.set("cache-control", "public, max-age=300");
        break;
      default:
        break;
    }
    // A redirect has a few words of text in it, which browsers do not show.
    const isRedirect = ctx.status >= 300 && ctx.status < 400;
    if (ctx.type === "text/html" && !isRedirect && !isOurPage(ctx)) {
      // A page with a script that submits itself (form_post and the like): nothing here needs one.
      const out = { error: "unsupported_response_mode" };
      ctx.status = 400;
      options.pages.error(ctx, out, new Error("the library wanted to show a page of its own"));
    }
  });
}

/** RFC 8414 §2: what is announced is what is there. */
function describeTruly(ctx: KoaContextWithOIDC): void {
  const body = ctx.body as Record<string, unknown>;
  body["response_modes_supported"] = ["query"];
  ctx.set("cache-control", "public, max-age=300");
}

/** Limits on Fastify 5: one plugin for all routes and single ones, before the body is read or after it. */
import { systemClock, systemRandom, type Clock, type Random } from "@tidegate/clock";
import { CallGate, toSet, type Passage } from "./call-gate.ts";
import { keyOfAddress, type CallLimit, type Refusal } from "./call-limit.ts";
import { toHttpRefusal, type ProblemTypes } from "./http-refusal.ts";

export type { CallLimit, Refusal } from "./call-limit.ts";

/** A limit on a Fastify route. */
export type FastifyLimit<Request = FastifyRequestLike> = CallLimit<Request> & {
  /**
   * When it asks: `onRequest` (default), before the body is read, which is cheapest; or `preHandler`, when the body and what
   * sign-in hooks found are there. The limits of one stage are all or nothing.
   */
  readonly at?: "onRequest" | "preHandler";
};

export interface FastifyLimitsOptions<Request> {
  /** On every route of the instance and below it, unknown paths included. */
  readonly limits?: readonly FastifyLimit<Request>[];
  /** True lets the request pass unlimited. */
  readonly skip?: (request: Request) => boolean;
  /** Told of each refusal, for logs and counters; must not throw. */
  readonly observe?: (refusal: Refusal, request: Request) => void;
  /** Also `X-RateLimit-Limit`, `-Remaining` and `-Reset`. */
  readonly withLegacyFields?: boolean;
  readonly problemTypes?: ProblemTypes;
  readonly clock?: Clock;
  readonly random?: Random;
}

/**
 * The plugin; to be registered before the routes, with `await`. A route has limits of its own by `config: routeLimits([…])`.
 * Limits that cannot be honoured make the start fail with a RangeError that names each of them.
 */
export function fastifyLimits<Request extends FastifyRequestLike = FastifyRequestLike>(
  options: FastifyLimitsOptions<Request> = {},
): FastifyPlugin {
  const plugin: FastifyPlugin = (app, _, done) => {
    const judge = new RouteJudge(options);
    app.addHook("onRoute", (route) => judge.addRoute(route.config?.limits));
    app.addHook("onReady", (ready) => {
      judge.begin();
      ready();
    });
    // The options say which type requests have; what Fastify passes is only known to be a request.
    for (const stage of STAGES) {
      app.addHook(stage, (request, reply, next) =>
        judge.ask(stage, { request: request as Request, reply, next }),
      );
    }
    done();
  };
  // What the fastify-plugin package sets: the hooks belong to whoever registers, not to a context of the plugin's own.
  return Object.assign(plugin, {
    [Symbol.for("skip-override")]: true,
    [Symbol.for("fastify.display-name")]: "@tidegate/limits",
    [Symbol.for("plugin-meta")]: { fastify: "5.x", name: "@tidegate/limits" },
  });
}

/**
 * A route's `config`, or a part of it to be spread. Its limits are asked together with those of all routes; `false` frees the
 * route of them. The type says nothing of what is in it, because Fastify's `config` knows no fields of others.
 */
export function routeLimits<Request = FastifyRequestLike>(
  limits: readonly FastifyLimit<Request>[] | false,
): object {
  return { limits };
}

/**
 * Key: the address that Fastify says, IPv6 by /64. That is the connection's own unless `trustProxy` is set; set it to the
 * proxies' addresses, never to `true`, or X-Forwarded-For is a free choice of callers.
 */
export function byAddress(request: FastifyRequestLike): string {
  return keyOfAddress(request.ip);
}

const STAGES = ["onRequest", "preHandler"] as const;
type Stage = (typeof STAGES)[number];
type RouteLimits<Request> = readonly FastifyLimit<Request>[] | false | undefined;

/** The limits of all routes of one plugin. */
class RouteJudge<Request extends FastifyRequestLike> {
  readonly #options: FastifyLimitsOptions<Request>;
  /** As the routes name them; the key of a set is the array itself, which a route's HEAD shares. */
  readonly #routes = new Set<RouteLimits<Request>>([undefined, false]);
  readonly #sets = new Map<RouteLimits<Request>, Readonly<Record<Stage, readonly number[]>>>();
  #gate: CallGate<Request> | undefined;

  constructor(options: FastifyLimitsOptions<Request>) {
    this.#options = options;
  }

  addRoute(limits: unknown): void {
    this.#routes.add(limits as RouteLimits<Request>);
  }

  /** All routes are known. */
  begin(): void {
    const { limits = [], clock = systemClock, random = systemRandom } = this.#options;
    const all = [...new Set([...limits, ...[...this.#routes].flatMap((route) => route || [])])];
    const { withLegacyFields = false } = this.#options;
    this.#gate = new CallGate({ limits: all, clock, random, withLegacyFields });
    for (const route of this.#routes) {
      const wanted = route === false ? [] : [...new Set([...limits, ...(route ?? [])])];
      const at = (stage: Stage): readonly number[] =>
        toSet(
          all,
          wanted.filter((limit) => (limit.at ?? "onRequest") === stage),
        );
      this.#sets.set(route, { onRequest: at("onRequest"), preHandler: at("preHandler") });
    }
  }

  ask(
    stage: Stage,
    call: { readonly request: Request; readonly reply: FastifyReplyLike; readonly next: Next },
  ): void {
    const { request, reply, next } = call;
    const passage = this.#askGate(stage, request);
    if (passage === undefined) return next();
    if (passage.refusal !== undefined) return this.#refuse(passage, passage.refusal, call);
    for (const [name, value] of Object.entries(passage.fields)) addField(reply, name, value);
    if (passage.isOpen) {
      // `finish` comes when the whole answer went out, `close` always and later. Whoever hangs up during costly work has
      // used it: else hanging up would be a way not to pay.
      reply.raw.once("finish", () => passage.end(reply.raw.statusCode));
      reply.raw.once("close", () => passage.end(undefined));
    }
    next();
  }

  #askGate(stage: Stage, request: Request): Passage | undefined {
    const sets = this.#sets.get(toRouteLimits(request));
    if (sets === undefined || this.#gate === undefined) {
      // Fails closed: a limit that is silently not there is worse than a route that does not answer.
      throw new Error(
        `Cannot limit ${request.method} ${request.routeOptions.url ?? ""}: the route was added before the plugin; await its registration first`,
      );
    }
    if (sets[stage].length === 0 || this.#options.skip?.(request) === true) return undefined;
    return this.#gate.ask(request, sets[stage]);
  }

  #refuse(
    passage: Passage,
    refusal: Refusal,
    { request, reply }: { readonly request: Request; readonly reply: FastifyReplyLike },
  ): void {
    this.#options.observe?.(refusal, request);
    const { status, fields, body } = toHttpRefusal(
      refusal,
      passage.fields,
      this.#options.problemTypes,
    );
    reply.code(status);
    for (const [name, value] of Object.entries(fields)) addField(reply, name, value);
    // As bytes: to text Fastify adds a charset, which this media type has not.
    reply.send(Buffer.from(body));
  }
}

function toRouteLimits<Request>(request: FastifyRequestLike): RouteLimits<Request> {
  const config = request.routeOptions.config as { readonly limits?: RouteLimits<Request> };
  return config?.limits;
}

/** The two list fields grow by what a later stage says; of all others the later one stands. */
function addField(reply: FastifyReplyLike, name: string, value: string): void {
  const before = name.startsWith("RateLimit") ? reply.getHeader(name) : undefined;
  reply.header(name, typeof before === "string" ? `${before}, ${value}` : value);
}

// What is used of Fastify. Declared here, so that this package needs no other at run time.

type Next = (error?: Error) => void;

export interface FastifyRequestLike {
  readonly ip: string;
  readonly method: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly routeOptions: { readonly url?: string | undefined; readonly config: unknown };
}

export interface FastifyReplyLike {
  readonly raw: {
    readonly statusCode: number;
    once(event: "finish" | "close", listener: () => void): unknown;
  };
  code(status: number): unknown;
  getHeader(name: string): unknown;
  header(name: string, value: string): unknown;
  send(body: Uint8Array): unknown;
}

export interface FastifyLike {
  addHook(
    name: "onRoute",
    hook: (route: { readonly config?: { limits?: unknown } }) => void,
  ): unknown;
  addHook(name: "onReady", hook: (done: Next) => void): unknown;
  addHook(
    name: "onRequest" | "preHandler",
    hook: (request: FastifyRequestLike, reply: FastifyReplyLike, done: Next) => void,
  ): unknown;
}

export type FastifyPlugin = (app: FastifyLike, options: unknown, done: Next) => void;

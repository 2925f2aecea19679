import { z } from "zod";
import { addressRange, hostName, listenHost } from "./address.ts";
import type { Frozen } from "./frozen.ts";
import { sessionsSchema } from "./browser-schema.ts";
import { identitySchema } from "./identity-schema.ts";
import { limitSchema } from "./limit-schema.ts";
import { limitStoreSchema } from "./limit-store-schema.ts";
import { routeSchema } from "./route-schema.ts";
import { transmitterSchema } from "./signals-schema.ts";
import { upstreamSchema } from "./upstream-schema.ts";
import { bytes, count, milliseconds, name, tcpPort } from "./units.ts";
import { origin } from "./url.ts";

/**
 * The whole configuration: type, range, unit, default and one line of documentation for every key.
 * `docs/config.md` is generated from here. What several keys must be together is in `cross-check.ts`.
 */
export const configSchema = z.strictObject({
  listen: z
    .strictObject({
      port: tcpPort(8080).describe("TCP port of the public listener; 0 takes a free one."),
      host: listenHost
        .default("127.0.0.1")
        .describe("Address to listen on. Loopback unless you say otherwise."),
      publicUrl: origin(["https", "http"])
        .optional()
        .describe(
          "How people reach the gateway. Redirects, the default Origin and the assertion's issuer come from it. Default: `http://localhost:<port>`.",
        ),
      hosts: z
        .array(hostName)
        .default([])
        .describe(
          "Further host names that are served, beside the one of `publicUrl` and the loopback names. Anything else gets 421 (DNS rebinding).",
        ),
      trustedProxies: z
        .array(addressRange)
        .default([])
        .describe(
          "CIDR ranges of proxies in front whose forwarding fields are believed. Empty: nobody's.",
        ),
      proxyProtocol: z
        .boolean()
        .default(false)
        .describe(
          "Connections begin with a PROXY protocol header (version 1 or 2) that says whose they are; only `trustedProxies` may connect then.",
        ),
      maxConnections: count(1, 1_000_000, 10_000).describe(
        "Client connections at once; further ones are closed at once.",
      ),
      maxRequestsInFlight: count(1, 1_000_000, 4_096).describe(
        "Requests and handshakes being served at once; further ones get 503.",
      ),
      maxUnauthenticatedSockets: count(0, 1_000_000, 1_024).describe(
        "Sockets at once that were accepted for somebody who was not let in: refused handshakes that are told by a close code, each for at most 1 s. Further ones get the HTTP status.",
      ),
      headerTimeoutMs: milliseconds(10_000).describe(
        "How long a request's head may take to arrive (slow header attack).",
      ),
      idleTimeoutMs: milliseconds(65_000).describe(
        "How long a kept connection may stay silent between requests.",
      ),
      maxHeaderBytes: bytes(16_384, { min: 1_024, max: 1_048_576 }).describe(
        "Request line and fields together; more gets 431.",
      ),
      maxTargetBytes: bytes(8_192, { min: 64, max: 65_536 }).describe(
        "Request target; longer gets 414.",
      ),
    })
    .prefault({})
    .describe("The public listener."),
  admin: z
    .strictObject({
      port: tcpPort(9090).describe("TCP port of the admin listener; 0 takes a free one."),
      host: listenHost
        .default("127.0.0.1")
        .describe(
          "Address of the admin listener. Beyond loopback only with `dangerouslyListenBeyondLoopback`.",
        ),
      dangerouslyListenBeyondLoopback: z
        .boolean()
        .default(false)
        .describe(
          "Lets other machines reach the admin listener. It speaks plain HTTP: whoever sees its traffic has its token.",
        ),
    })
    .prefault({})
    .describe(
      "The admin listener: metrics and health for operators, behind a bearer token kept in the data folder.",
    ),
  dataFolder: z
    .string()
    .min(1)
    .default(".tidegate")
    .describe(
      "Keys, tokens and databases of the gateway; mode 0700. Relative to the configuration file.",
    ),
  threads: z
    .union([z.literal("auto"), z.int().min(0).max(64)])
    .default("auto")
    .describe(
      'Worker threads that serve the public port; limits are exact over all of them. `"auto"`: one per core, at most 8. 0 serves on the main thread, without supervision.',
    ),
  identity: z
    .record(name, identitySchema)
    .default({})
    .describe("Issuers that may say who is calling, by the name that routes use."),
  sessions: sessionsSchema.prefault({}).describe("Browser sessions; see `identity.*.browser`."),
  upstreams: z
    .record(name, upstreamSchema)
    .default({})
    .describe(
      "What is behind the gateway, by name. The name is the audience of the forwarded assertion.",
    ),
  limits: z
    .array(limitSchema)
    .default([])
    .describe(
      'Limits that hold on every route, beside the route\'s own. Only `per: "address"` and `per: "route"`.',
    ),
  limitStore: limitStoreSchema
    .optional()
    .describe(
      'Where limits with `store: "shared"` are kept together with other gateways. Default: every limit is this machine\'s own.',
    ),
  penalty: z
    .strictObject({
      maxCallers: count(64, 1_000_000, 65_536).describe(
        "Callers that are remembered at once, in memory and on disk. When they are all in use nobody is let out: further addresses are boxed with the network around them, other callers not at all.",
      ),
      redis: z
        .strictObject({
          url: z
            .string()
            .regex(/^rediss?:\/\/[^\s/]/, "is not a Redis URL")
            .meta({ rule: "a URL such as `rediss://redis.example:6379`" })
            .describe(
              "Where it is. `rediss:` encrypts; take a user and password from the environment.",
            ),
          prefix: name
            .default("tidegate")
            .describe("First part of every key; gateways with the same one share penalties."),
        })
        .optional()
        .describe(
          "Share penalties with other gateways through Redis 7 or later, which must not evict keys. Default: this machine's own, in the data folder.",
        ),
    })
    .optional()
    .describe(
      "The penalty box: who goes on over a limit of their own (more than 3 × the limit and 30 refusals within its window) is refused everywhere for 30 s, and twice as long each time until an hour, loses every open socket, and, with a token, must sign in again afterwards; one strike is forgotten per hour. Survives a restart. Default: nobody is boxed. `{}` switches it on.",
    ),
  revocation: z
    .strictObject({
      transmitters: z
        .record(name, transmitterSchema)
        .default({})
        .describe(
          "Who may report ended sessions as shared signals (CAEP `session-revoked`, RFC 8935) at `/.tidegate/events`.",
        ),
      rememberSeconds: count(3_600, 31_622_400, 2_592_000, "seconds").describe(
        "How long a revoked session or sign-in is refused. As long as the longest-lived refresh token of any issuer: until then it could bring new access tokens.",
      ),
    })
    .prefault({})
    .describe("What was withdrawn before its time (`tidegate revoke`). Survives a restart."),
  routes: z
    .array(routeSchema)
    .min(1)
    .describe("What is served. The most specific path wins, never the order."),
  record: z
    .strictObject({
      level: z
        .enum(["debug", "info", "warn", "error"])
        .default("info")
        .describe("Least severity that is written."),
      requests: z.boolean().default(true).describe("One line per request and per ended socket."),
      destination: z
        .string()
        .min(1)
        .default("stdout")
        .describe("`stdout`, or a file that is appended to."),
      maxBufferedBytes: bytes(1_048_576, { min: 65_536, max: 268_435_456 }).describe(
        "Log lines waiting for a slow destination; further lines are dropped and counted.",
      ),
    })
    .prefault({})
    .describe("What is written down."),
  shutdown: z
    .strictObject({
      drainTimeoutMs: milliseconds(10_000).describe(
        "How long running requests may finish after a stop was asked for; then they are cut.",
      ),
    })
    .prefault({})
    .describe("How the gateway stops."),
});

/** What a person writes. */
export type GatewayConfigInput = z.input<typeof configSchema>;
/** What the gateway runs on: every default filled in, file paths absolute, frozen. */
export type GatewayConfig = Frozen<z.output<typeof configSchema>>;

export type { ProviderConfig, UsersFileConfig } from "./identity-schema.ts";
export type { LimitConfig } from "./limit-schema.ts";
export type { RouteConfig, WebSocketConfig, SocketLimitConfig } from "./route-schema.ts";
export type { UpstreamConfig } from "./upstream-schema.ts";

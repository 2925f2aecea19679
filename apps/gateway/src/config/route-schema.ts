import { PROFILE_CLAIMS } from "@tidegate/auth";
import { z } from "zod";
import { parsePathPattern } from "../route/path-pattern.ts";
import { hostName } from "./address.ts";
import type { Frozen } from "./frozen.ts";
import { limitName } from "./limit-name.ts";
import { bucketFields, limitKey, limitSchema, storeFields, windowFields } from "./limit-schema.ts";
import { bytes, count, milliseconds, name, QUOTES_VALUE } from "./units.ts";
import { origin } from "./url.ts";

const socketLimitFields = {
  class: z
    .enum(["text", "binary", "control", "message"])
    .default("message")
    .describe("Which messages are counted; `message` is text and binary together."),
  from: z.enum(["client", "upstream"]).default("client").describe("Whose messages are counted."),
  per: limitKey
    .default("connection")
    .describe("Whose usage is counted, as in the route's own limits."),
  cost: z
    .enum(["message", "byte"])
    .default("message")
    .describe("What is counted: messages, or payload bytes."),
  exceed: z
    .enum(["delay", "drop", "close", "penalise"])
    .default("close")
    .describe(
      "What happens to a message over the limit: stop reading until it may pass, leave it out, end the socket with 4429, or put the caller into the penalty box at once, which ends all their sockets. The same, but for the box, when the limit is shared, its store is lost and `whenStoreLost` is `deny`; the socket then ends with 4503.",
    ),
  ...storeFields,
};

const socketLimitSchema = z
  .discriminatedUnion("kind", [
    z.strictObject({ ...bucketFields, ...socketLimitFields }),
    z.strictObject({ ...windowFields, ...socketLimitFields }),
  ])
  .transform((limit) => ({ ...limit, name: limitName(limit) }));

/** A limit on the messages of a socket, with its name filled in. */
export type SocketLimitConfig = Frozen<z.output<typeof socketLimitSchema>>;

const webSocketSchema = z.strictObject({
  classes: z
    .enum(["opcode"])
    .default("opcode")
    .describe(
      "How messages are told apart: by WebSocket opcode into `text`, `binary` and `control`.",
    ),
  limits: z
    .array(socketLimitSchema)
    .default([])
    .describe("Limits on messages, beside the route's limits on the handshake."),
  maxMessageBytes: bytes(1_048_576, { min: 1, max: 1_073_741_824 }).describe(
    "Payload of one message over all its frames; more ends the socket.",
  ),
  maxFragments: count(1, 1_000_000, 1_024).describe(
    "Frames of one message (fragment flood); more ends the socket.",
  ),
  maxBufferedBytes: bytes(262_144, { min: 16_384, max: 67_108_864 }).describe(
    "Bytes that wait for a slow reader, above what the kernel holds; more ends the socket with 4503.",
  ),
  maxEarlyBytes: bytes(65_536, { min: 0, max: 1_048_576 }).describe(
    "Client bytes that may arrive before the upstream accepted the handshake.",
  ),
  maxDelayMs: milliseconds(5_000).describe(
    "Longest pause of reading by `delay`; then the limit closes the socket.",
  ),
  idleTimeoutMs: milliseconds(120_000).describe(
    "A client that sends nothing for so long, pongs included, is gone.",
  ),
  pingIntervalMs: milliseconds(30_000).describe(
    "How often the gateway pings a silent client; its pongs are not relayed.",
  ),
  closeProfile: z
    .enum(["tidegate", "standard"])
    .default("tidegate")
    .describe(
      "Close codes: Tidegate's own 44xx and 45xx, or only those of RFC 6455 (1008, 1009, 1012, 1013).",
    ),
  handshakeRefusal: z
    .enum(["auto", "status", "close"])
    .default("auto")
    .describe(
      "How pages of allowed origins learn that their handshake was refused; they cannot see an HTTP status. `auto`: a caller's first refusal within 60 s by a close code, right behind an accepted handshake, later ones by status, so that a page which reconnects in a loop is slowed. `close`: always by a close code. `status`: never. Programs, which send no `Origin`, always get the status; other origins always get 403.",
    ),
});
export type WebSocketConfig = Frozen<z.output<typeof webSocketSchema>>;

// RFC 6749 §3.3.
const scope = z
  .string()
  .regex(/^[!#-[\]-~]+$/, "is not a scope")
  .meta({ rule: "printable ASCII without space, quote and backslash" });

const authSchema = z.strictObject({
  by: z
    .array(name)
    .min(1)
    .describe("Names under `identity`; any of them may vouch for the caller."),
  scopes: z.array(scope).default([]).describe("Scopes that the credential must have, all of them."),
  acr: z
    .array(z.string().min(1))
    .default([])
    .describe("Authentication levels, any of which suffices (RFC 9470)."),
  maxAgeSeconds: z
    .int()
    .min(0)
    .max(31_622_400)
    .optional()
    .meta({ unit: "seconds" })
    .describe("Longest time since the person signed in."),
});

// RFC 9110 §5.1.
const fieldName = z
  .string()
  .regex(/^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}$/, "is not the name of a field")
  .meta({ rule: "the name of a header field" });

const corsSchema = z.strictObject({
  origins: z
    .array(z.union([z.literal("*"), origin(["https", "http"])]))
    .min(1)
    .describe(
      'Web origins whose pages may read answers. `"*"`, alone, is any; never with credentials.',
    ),
  headers: z
    .array(fieldName)
    .default([])
    .describe("Fields that such pages may send, beside those that every page may."),
  exposedHeaders: z
    .array(fieldName)
    .default([])
    .describe(
      "Fields of answers that such pages may read, beside Retry-After, RateLimit, RateLimit-Policy and WWW-Authenticate.",
    ),
  maxAgeSeconds: count(0, 86_400, 600, "seconds").describe(
    "How long browsers may remember a preflight.",
  ),
  credentials: z
    .boolean()
    .default(false)
    .describe("Whether such pages may call with the person's session or Basic."),
});

const method = z
  .string()
  .regex(/^[A-Z][A-Z-]{0,31}$/, "is not a method name")
  .refine(
    (text) => text !== "TRACE" && text !== "CONNECT",
    "is never served: it is refused on every route",
  )
  .meta({ rule: "upper-case method names other than TRACE and CONNECT" });

export const routeSchema = z.strictObject({
  path: z
    .string()
    .superRefine((pattern, context) => {
      const parsed = parsePathPattern(pattern);
      if (!parsed.ok) {
        const message = `cannot match: ${parsed.reason}`;
        context.addIssue({ code: "custom", message, params: QUOTES_VALUE });
      }
    })
    .meta({ rule: "a pattern such as `/tasks/*` or `/tasks/**`" })
    .describe("Pattern: `*` is one segment, a trailing `**` the rest. Case-sensitive."),
  methods: z
    .array(method)
    .min(1)
    .optional()
    .describe(
      "Methods served here; HEAD comes with GET. Default: every method, or none beside the handshake where `websocket` is set.",
    ),
  hosts: z
    .array(hostName)
    .min(1)
    .optional()
    .describe("Serve only under these host names. Default: all that the listener serves."),
  to: name.describe("Name under `upstreams`."),
  auth: z
    .union([z.literal("none"), authSchema])
    .describe('Who may call: `by` names issuers. `"none"` lets everybody in.'),
  limits: z
    .array(limitSchema)
    .default([])
    .describe("Limits on requests and handshakes; all must admit, or nothing is charged."),
  maxBodyBytes: bytes(10_485_760, { min: 0, max: 1_099_511_627_776 }).describe(
    "Request body; more gets 413.",
  ),
  minBodyBytesPerSecond: count(0, 1_000_000_000, 240, "bytes per second").describe(
    "Slowest upload that is waited for, after 5 s of grace (slow POST attack); 0 waits for ever.",
  ),
  allowInPath: z
    .array(z.enum(["%2F", "%5C", ";", "//"]))
    .default([])
    .describe(
      "What may stand in paths of this route although servers read it in different ways: encoded slash and backslash, `;` parameters, empty segments. Everywhere else they get 400.",
    ),
  origins: z
    .array(origin(["https", "http"]))
    .default([])
    .describe("Web origins that may call with ambient credentials, beside that of `publicUrl`."),
  navigable: z
    .boolean()
    .default(false)
    .describe(
      "Whether people may come here by links on other sites with their session: GET and HEAD as navigation of a whole page.",
    ),
  cors: corsSchema
    .optional()
    .describe(
      "Let pages of other origins read the answers (CORS). Preflights are answered by the gateway, and the upstream's own CORS fields are replaced.",
    ),
  forwardAuthorization: z
    .boolean()
    .default(false)
    .describe("Whether the upstream sees the caller's own Authorization field."),
  claims: z
    .array(z.enum(PROFILE_CLAIMS))
    .default([])
    .describe(
      "What of the person the upstream is told in the assertion, where the provider says it: from access tokens, answers about tokens and passwords, and at sign-in in the browser. For showing; who somebody is says `sub` with `src` alone.",
    ),
  highValue: z
    .boolean()
    .default(false)
    .describe(
      "For calls that move money or cannot be undone: what can be asked anew is, in place of what is remembered (tokens that the provider is asked about).",
    ),
  websocket: webSocketSchema
    .optional()
    .describe("Offer WebSocket upgrades here, with these rules for their messages."),
});
export type RouteConfig = Frozen<z.output<typeof routeSchema>>;

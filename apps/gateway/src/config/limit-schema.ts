import { z } from "zod";
import type { KeyFunction } from "../judge/caller.ts";
import type { Frozen } from "./frozen.ts";
import { functionSchema } from "./function-schema.ts";
import { limitName } from "./limit-name.ts";
import { name } from "./units.ts";

// The limit engine counts in whole numbers of at most 31 bits, over spans of at most 366 days.
const amount = z.int().min(1).max(2_147_483_647);
const span = z.number().min(0.001).max(31_622_400).meta({ unit: "seconds" });

/** `count` per `seconds`, as `perSecond(50)` and `perMinute(100)` write it. */
const rateSchema = z.strictObject({
  count: amount.describe("How much comes back."),
  seconds: span.describe("In what time."),
});

const limitNameSchema = name
  .optional()
  .describe(
    "What the `RateLimit` fields, metrics and logs call it; unique on a route. Default: made of what it counts and its numbers.",
  );

const shadow = z
  .boolean()
  .default(false)
  .describe(
    "Shadow mode: decide and count, never refuse. `tidegate limits suggest` then proposes numbers from what was asked for.",
  );

const strikes = z
  .boolean()
  .default(true)
  .describe(
    "Whether who goes on over it is put into the penalty box, where there is one (`penalty`) and the limit is the caller's own. `false` for messages that others can provoke, such as answers and acknowledgements.",
  );

export const bucketFields = {
  kind: z
    .literal("bucket")
    .describe("Token bucket: cost admitted in any (s, t] ≤ burst + rate × (t − s)."),
  rate: rateSchema.describe("How fast it refills."),
  burst: amount.describe("How much may come at once."),
  name: limitNameSchema,
  shadow,
  strikes,
};

export const windowFields = {
  kind: z
    .literal("window")
    .describe("Strict sliding window: cost admitted in any (t − seconds, t] ≤ limit."),
  limit: amount.describe("How much may come in any window."),
  seconds: span.describe("Length of the window."),
  name: limitNameSchema,
  shadow,
  strikes,
};

const quotaFields = {
  kind: z
    .literal("quota")
    .describe("Calendar quota: cost admitted in one calendar period ≤ limit."),
  limit: amount.describe("How much may come in one period."),
  period: z
    .enum(["minute", "hour", "day", "week", "month"])
    .describe("The calendar period; a week begins on Monday."),
  timeZone: z
    .string()
    .refine(isTimeZone, "an IANA time zone, such as Europe/Berlin")
    .default("UTC")
    .describe("Whose calendar: an IANA time zone."),
  name: limitNameSchema,
  shadow,
  strikes,
};

const concurrencyFields = {
  kind: z
    .literal("concurrency")
    .describe("In flight: requests and sockets of one caller that have not ended ≤ limit."),
  limit: z.int().min(1).max(16_777_215).describe("How many may be open at once."),
  name: limitNameSchema,
  shadow,
  strikes,
};

function isTimeZone(text: string): boolean {
  try {
    Intl.DateTimeFormat("en", { timeZone: text });
    return true;
  } catch {
    return false;
  }
}

const keyPart = z.enum(["user", "client", "session", "address", "connection", "route"]);

/** One thing that callers are told apart by. */
export type KeyPart = z.output<typeof keyPart>;

/** Whose usage a limit counts. */
export const limitKey = z.union([
  keyPart,
  z
    .array(keyPart)
    .min(2)
    .refine((parts) => new Set(parts).size === parts.length, "names one of them twice"),
  functionSchema<KeyFunction>("a function of the caller that gives text"),
]);

const requestFields = {
  per: limitKey
    .default("user")
    .describe(
      "Whose usage is counted: the person or client that proved itself (callers without a credential by address), the client program, the session that the provider names (else as `user`), the address (IPv6 by /64), the connection, or everybody on the route together; of a list, each combination by itself; or an own function, `(caller) => text`.",
    ),
  cost: z
    .enum(["request", "byte"])
    .default("request")
    .describe("What is counted: requests, or bytes of request bodies."),
};

export const storeFields = {
  store: z
    .enum(["local", "shared"])
    .default("local")
    .describe(
      "Where it is kept: on this machine, or shared with all gateways of the same `limitStore`.",
    ),
  whenStoreLost: z
    .enum(["deny", "share", "local", "open"])
    .default("deny")
    .describe(
      "What a shared limit does while the store cannot be asked. `deny`: 503. `share`: each gateway admits its part of a fifth that the store never hands out. `local`: each admits its part of the whole, so that at most twice the limit passes. `open`: everything passes.",
    ),
};

export const limitSchema = z
  .discriminatedUnion("kind", [
    z.strictObject({ ...bucketFields, ...requestFields, ...storeFields }),
    z.strictObject({ ...windowFields, ...requestFields, ...storeFields }),
    z.strictObject({ ...quotaFields, ...requestFields, ...storeFields }),
    z.strictObject({ ...concurrencyFields, per: requestFields.per, ...storeFields }),
  ])
  .transform((limit) => ({ ...limit, name: limitName(limit) }));

/** A limit on requests and handshakes, with its name filled in. */
export type LimitConfig = Frozen<z.output<typeof limitSchema>>;

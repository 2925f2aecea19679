import { z } from "zod";
import type { Frozen } from "./frozen.ts";
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

export const bucketFields = {
  kind: z
    .literal("bucket")
    .describe("Token bucket: cost admitted in any (s, t] ≤ burst + rate × (t − s)."),
  rate: rateSchema.describe("How fast it refills."),
  burst: amount.describe("How much may come at once."),
  name: limitNameSchema,
};

export const windowFields = {
  kind: z
    .literal("window")
    .describe("Strict sliding window: cost admitted in any (t − seconds, t] ≤ limit."),
  limit: amount.describe("How much may come in any window."),
  seconds: span.describe("Length of the window."),
  name: limitNameSchema,
};

const requestFields = {
  per: z
    .enum(["user", "address", "connection", "route"])
    .default("user")
    .describe(
      "Whose usage is counted: the person or client that proved itself (callers without a credential by address), the address (IPv6 by /64), the connection, or everybody on the route together.",
    ),
  cost: z
    .enum(["request", "byte"])
    .default("request")
    .describe("What is counted: requests, or bytes of request bodies."),
};

export const limitSchema = z
  .discriminatedUnion("kind", [
    z.strictObject({ ...bucketFields, ...requestFields }),
    z.strictObject({ ...windowFields, ...requestFields }),
  ])
  .transform((limit) => ({ ...limit, name: limitName(limit) }));

/** A limit on requests and handshakes, with its name filled in. */
export type LimitConfig = Frozen<z.output<typeof limitSchema>>;

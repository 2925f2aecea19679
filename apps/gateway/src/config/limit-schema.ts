import { z } from "zod";
import { name } from "./units.ts";

/** `count` per `seconds`, as `perSecond(50)` and `perMinute(100)` write it. */
export const rateSchema = z.strictObject({
  count: z.int().min(1).max(1_000_000_000),
  seconds: z.number().positive().max(31_622_400),
});

const limitName = name
  .optional()
  .describe(
    "What the `RateLimit` fields and metrics call it. Default: made from kind, key and numbers.",
  );

export const bucketFields = {
  kind: z
    .literal("bucket")
    .describe("Token bucket: cost admitted in any (s, t] ≤ burst + rate × (t − s)."),
  rate: rateSchema.describe("How fast it refills."),
  burst: z.int().min(1).max(1_000_000_000).describe("How much may come at once."),
  name: limitName,
};

export const windowFields = {
  kind: z
    .literal("window")
    .describe("Strict sliding window: cost admitted in any (t − seconds, t] ≤ limit."),
  limit: z.int().min(1).max(1_000_000_000).describe("How much may come in any window."),
  seconds: z.number().positive().max(31_622_400).describe("Length of the window."),
  name: limitName,
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

export const limitSchema = z.discriminatedUnion("kind", [
  z.strictObject({ ...bucketFields, ...requestFields }),
  z.strictObject({ ...windowFields, ...requestFields }),
]);
export type LimitConfig = z.output<typeof limitSchema>;

import { z } from "zod";
import { count, milliseconds, name } from "./units.ts";

/** Where limits with `store: "shared"` are kept. */
export const limitStoreSchema = z.strictObject({
  kind: z.literal("redis").describe("Redis 7 or later, or Valkey."),
  url: z
    .string()
    .regex(/^rediss?:\/\/[^\s/]/, "is not a Redis URL")
    .meta({ rule: "a URL such as `rediss://redis.example:6379`" })
    .describe("Where it is. `rediss:` encrypts; take a user and password from the environment."),
  prefix: name
    .default("tidegate")
    .describe("First part of every key; gateways with the same one share their limits."),
  gateways: count(1, 1_000, 8).describe(
    "The most gateways that share the limits at once. Sizes what each may take ahead, and its part where `whenStoreLost` divides a limit.",
  ),
  budgetMs: milliseconds(40).describe(
    "How long a request waits for the store; then `whenStoreLost` decides.",
  ),
  whenEmpty: z
    .enum(["learn", "grant"])
    .default("learn")
    .describe(
      "A store that knows nothing may have lost what it knew. `learn`: shared limits act as if it were lost until a whole window is over (a quota: its period). `grant`: at once; after each loss of data a limit may be spent once more.",
    ),
  whenRestarted: z
    .enum(["learn", "trust"])
    .default("learn")
    .describe(
      "A restarted store may have lost its last writes. `learn`: as `whenEmpty`. `trust`: it keeps every acknowledged write (`appendfsync always`).",
    ),
});

import { z } from "zod";
import { count } from "./units.ts";

// RFC 6749 §3.3.
const scope = z
  .string()
  .regex(/^[!#-[\]-~]+$/, "is not a scope")
  .meta({ rule: "printable ASCII without space, quote and backslash" });

/** Signing in at one provider with a browser. */
export const browserSchema = z.strictObject({
  scopes: z
    .array(scope)
    .min(1)
    .optional()
    .describe(
      "What is asked for at sign-in: `openid`, and the scopes that routes want. `offline_access` brings the refresh token that keeps a session alive at most providers. Default: by preset, else `openid`, `profile`, `email`, `offline_access`.",
    ),
  ownCallback: z
    .boolean()
    .default(false)
    .describe(
      "Come back to `/.tidegate/callback/<name>` instead of `/.tidegate/callback`. Needed where several providers are configured and this one does not name itself in its answers (RFC 9207): else an answer of one could be taken for another's.",
    ),
  label: z
    .string()
    .min(1)
    .max(64)
    .optional()
    .describe("What people read where they choose among several providers. Default: the name."),
});

/** How long browser sessions live, whatever provider they come from. */
export const sessionsSchema = z.strictObject({
  idleTimeoutSeconds: count(300, 2_592_000, 28_800, "seconds").describe(
    "A browser session that is not used for so long ends.",
  ),
  absoluteTimeoutSeconds: count(300, 2_592_000, 604_800, "seconds").describe(
    "A browser session ends so long after its sign-in, used or not.",
  ),
  maxPerPerson: count(1, 1_000, 20).describe(
    "Browser sessions of one person at once; with a further one the one that was not used for longest ends.",
  ),
});

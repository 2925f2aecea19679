import { z } from "zod";

// Fields that say something else already: a key in one of them would be read twice, or be taken out of what passes.
const RESERVED =
  /^(?:authorization|proxy-authorization|cookie|host|origin|connection|upgrade|content-.*|transfer-encoding|te|trailer|via|expect|sec-.*|tidegate-.*|forwarded|x-forwarded-.*|dpop|traceparent|tracestate|x-request-id)$/;

export const apiKeysSchema = z.strictObject({
  kind: z.literal("api-keys").describe("API keys of programs, kept as hashes in a file."),
  file: z
    .string()
    .min(1)
    .describe(
      "JSON file of keys; relative to the configuration file. Written by `tidegate keys`. Read again when it changes.",
    ),
  header: z
    .string()
    .regex(/^[a-z][a-z0-9-]{0,62}$/, "is not a field name in lower case")
    .refine((name) => !RESERVED.test(name), "is a field with a meaning of its own")
    .optional()
    .meta({ rule: "a field name in lower case, such as `x-api-key`" })
    .describe(
      "A field that may carry the key too. `Authorization: Bearer tgk_…` always may. Upstreams never see it.",
    ),
});

import { z } from "zod";
import { algorithm } from "./oidc-schema.ts";
import { count, name } from "./units.ts";
import { issuerUrl } from "./url.ts";

/** A transmitter of shared signals. */
export const transmitterSchema = z.strictObject({
  issuer: issuerUrl.describe(
    "Who signs the reports, exactly as it stands in their `iss`. Its keys are found by its metadata.",
  ),
  audience: z.string().min(1).describe("What we are called in the reports' `aud`."),
  speaksFor: z
    .array(name)
    .min(1)
    .describe(
      "Names under `identity`: whose sessions it may end. A report about anybody else's is refused.",
    ),
  algorithms: z
    .array(algorithm)
    .min(1)
    .default(["RS256", "PS256", "ES256", "EdDSA"])
    .describe("Signature algorithms that are accepted."),
  clockToleranceSeconds: count(0, 60, 5, "seconds").describe("How far its clock may differ."),
});

import { z } from "zod";

/** A realm, as it may stand in a challenge without escapes. */
export const realm = z
  .string()
  .min(1)
  .max(64)
  .regex(/^[ !#-[\]-~]+$/, "cannot stand in a WWW-Authenticate field")
  .default("tidegate")
  .meta({ rule: "printable ASCII without quotes and backslashes, at most 64 characters" })
  .describe("What a person is told they sign in to.");

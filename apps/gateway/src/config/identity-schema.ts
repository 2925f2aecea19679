import { z } from "zod";
import { apiKeysSchema } from "./api-keys-schema.ts";
import type { Frozen } from "./frozen.ts";
import { oidcSchema } from "./oidc-schema.ts";
import { fillPreset } from "./provider-presets.ts";
import { realm } from "./realm.ts";

const usersFileSchema = z.strictObject({
  kind: z.literal("users-file").describe("HTTP Basic with names and passwords of a file."),
  file: z
    .string()
    .min(1)
    .describe(
      "JSON file of users with scrypt hashes; relative to the configuration file. Written by `tidegate users add`.",
    ),
  realm,
});

export const identitySchema = z
  .discriminatedUnion("kind", [oidcSchema, usersFileSchema, apiKeysSchema])
  .transform((issuer) => (issuer.kind === "oidc" ? fillPreset(issuer) : issuer));

/** One entry under `identity`, with everything decided that a preset decides. */
export type IdentityConfig = Frozen<z.output<typeof identitySchema>>;
/** An OpenID provider. */
export type ProviderConfig = Extract<IdentityConfig, { kind: "oidc" }>;
export type UsersFileConfig = Extract<IdentityConfig, { kind: "users-file" }>;

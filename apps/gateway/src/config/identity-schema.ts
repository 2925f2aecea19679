import { z } from "zod";
import { milliseconds, count } from "./units.ts";

const oidcSchema = z.strictObject({
  kind: z.literal("oidc"),
  issuer: z
    .url({ protocol: /^https?$/ })
    .describe(
      "Issuer URL, exactly as it stands in the tokens' `iss`. Plain http only for loopback.",
    ),
  audience: z.string().min(1).describe("What the access tokens' `aud` must be."),
  algorithms: z
    .array(
      z.enum([
        "RS256",
        "RS384",
        "RS512",
        "PS256",
        "PS384",
        "PS512",
        "ES256",
        "ES384",
        "ES512",
        "EdDSA",
      ]),
    )
    .min(1)
    .default(["RS256", "PS256", "ES256", "EdDSA"])
    .describe("Signature algorithms that are accepted. Never `none`, never symmetric ones."),
  tokenTypes: z
    .array(z.string().min(1))
    .min(1)
    .default(["at+jwt"])
    .describe(
      "Accepted `typ` of access tokens (RFC 9068); `JWT` for providers that do not follow it.",
    ),
  clockToleranceSeconds: count(0, 60, 5).describe(
    "How far the provider's clock may differ, seconds.",
  ),
  maxTokenLifetimeSeconds: count(60, 2_592_000, 86_400).describe(
    "Longest `exp − iat` that is believed, seconds.",
  ),
  maxKeyAgeMs: milliseconds(86_400_000).describe(
    "How long the last good keys are used while the provider cannot be reached.",
  ),
});

const usersFileSchema = z.strictObject({
  kind: z.literal("users-file"),
  file: z
    .string()
    .min(1)
    .describe(
      "JSON file of users with scrypt hashes; relative to the configuration file. Written by `tidegate users add`.",
    ),
  realm: z
    .string()
    .min(1)
    .max(64)
    .regex(/^[ !#-[\]-~]+$/, "printable ASCII without quotes and backslashes")
    .default("tidegate")
    .describe("What a person is told they sign in to."),
});

export const identitySchema = z.discriminatedUnion("kind", [oidcSchema, usersFileSchema]);
export type IdentityConfig = z.output<typeof identitySchema>;

import { z } from "zod";
import type { Frozen } from "./frozen.ts";
import { milliseconds, count } from "./units.ts";
import { issuerUrl } from "./url.ts";

const oidcSchema = z.strictObject({
  kind: z
    .literal("oidc")
    .describe("JWT access tokens of an OpenID provider, found by its discovery document."),
  issuer: issuerUrl.describe(
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
  clockToleranceSeconds: count(0, 60, 5, "seconds").describe(
    "How far the provider's clock may differ.",
  ),
  maxTokenLifetimeSeconds: count(60, 2_592_000, 86_400, "seconds").describe(
    "Longest `exp − iat` that is believed.",
  ),
  maxKeyAgeMs: milliseconds(86_400_000).describe(
    "How long the last good keys are used while the provider cannot be reached.",
  ),
});

const usersFileSchema = z.strictObject({
  kind: z.literal("users-file").describe("HTTP Basic with names and passwords of a file."),
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
    .regex(/^[ !#-[\]-~]+$/, "cannot stand in a WWW-Authenticate field")
    .default("tidegate")
    .meta({ rule: "printable ASCII without quotes and backslashes, at most 64 characters" })
    .describe("What a person is told they sign in to."),
});

export const identitySchema = z.discriminatedUnion("kind", [oidcSchema, usersFileSchema]);
export type IdentityConfig = Frozen<z.output<typeof identitySchema>>;

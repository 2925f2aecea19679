import { z } from "zod";
import { browserSchema } from "./browser-schema.ts";
import { PROVIDER_PRESETS } from "./provider-preset-names.ts";
import { realm } from "./realm.ts";
import { count, milliseconds } from "./units.ts";
import { endpointUrl, issuerUrl } from "./url.ts";

/** A signature algorithm; only asymmetric ones are known. */
export const algorithm = z.enum([
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
]);

const claimName = z
  .string()
  .min(1)
  .max(256)
  .regex(/^[!-~]+$/, "is not a claim's name")
  .meta({ rule: "printable ASCII without blanks" });

const clientSchema = z.strictObject({
  id: z.string().min(1).describe("`client_id`, as the provider gave it."),
  secret: z
    .string()
    .min(1)
    .optional()
    .describe("`client_secret`; take it from the environment. Default: none, a public client."),
  authentication: z
    .enum(["client_secret_basic", "client_secret_post"])
    .default("client_secret_basic")
    .describe("How the secret is sent (OpenID Connect Core §9)."),
});

const introspectionSchema = z.strictObject({
  endpoint: endpointUrl
    .optional()
    .describe("Default: the provider's `introspection_endpoint`, by its discovery document."),
  timeoutMs: milliseconds(3_000, { max: 30_000 }).describe(
    "How long one answer may take; then callers get 503.",
  ),
  rememberSeconds: count(0, 30, 30, "seconds").describe(
    "How long a good answer counts, at most until the token's `exp`. Not on routes with `highValue`.",
  ),
  rememberRefusedSeconds: count(0, 30, 5, "seconds").describe("How long `active: false` counts."),
  maxInFlight: count(1, 1_024, 64).describe(
    "Questions at once, per worker thread; at most an eighth of them for one address. Further callers get 503.",
  ),
});

const basicSchema = z.strictObject({
  endpoint: endpointUrl.describe(
    "Where the provider checks a user name and password for us: `POST` with `username` and `password` as a form, client-authenticated, answered in the form of RFC 7662.",
  ),
  realm,
  timeoutMs: milliseconds(5_000, { max: 30_000 }).describe(
    "How long one answer may take; then callers get 503.",
  ),
  rememberSeconds: count(0, 60, 60, "seconds").describe("How long a good password counts."),
});

const dpopSchema = z.strictObject({
  required: z
    .boolean()
    .default(false)
    .describe("Refuse tokens that are not bound to a key of the client."),
  algorithms: z
    .array(algorithm)
    .min(1)
    .default(["ES256", "EdDSA"])
    .describe("Signature algorithms of proofs."),
  maxAgeSeconds: count(5, 300, 60, "seconds").describe(
    "How long after it was made a proof counts. Each counts once.",
  ),
  nonce: z
    .boolean()
    .default(false)
    .describe(
      "Whether proofs must carry a nonce that the gateway gave out within the last minutes (RFC 9449 §9).",
    ),
});

export const oidcSchema = z.strictObject({
  kind: z
    .literal("oidc")
    .describe("Access tokens of an OpenID provider, found by its discovery document."),
  preset: z
    .enum(PROVIDER_PRESETS)
    .optional()
    .describe(
      "Defaults that fit a known provider, for the keys below that say so; `docs/providers/` has what each sets.",
    ),
  issuer: issuerUrl.describe(
    "Issuer URL, exactly as it stands in the tokens' `iss`. Plain http only for loopback.",
  ),
  audience: z
    .string()
    .min(1)
    .optional()
    .describe(
      'What the access tokens\' `aud` must be. Required unless `tokenFormat` is `"session-only"`.',
    ),
  otherAudiences: z
    .array(z.string().min(1))
    .optional()
    .describe(
      "Further audiences that a token may name beside `audience`. A token that names any other is refused. Default: by preset, else none.",
    ),
  tokenFormat: z
    .enum(["jwt", "opaque", "any", "session-only"])
    .optional()
    .describe(
      "What access tokens are. `jwt`: signed, checked here. `opaque`: the provider is asked about each (`introspection`). `any`: those that look like a JWT are checked here, others are asked about. `session-only`: callers never show one; people sign in in the browser. Default: by preset, else `any` with `introspection`, `jwt` without.",
    ),
  algorithms: z
    .array(algorithm)
    .min(1)
    .default(["RS256", "PS256", "ES256", "EdDSA"])
    .describe("Signature algorithms that are accepted. Never `none`, never symmetric ones."),
  tokenTypes: z
    .array(z.string().min(1))
    .min(1)
    .optional()
    .describe(
      'Accepted `typ` of access tokens. Default: by preset, else `["at+jwt"]` (RFC 9068); `JWT` for providers that do not follow it, `absent` for tokens without one.',
    ),
  scopeClaim: claimName
    .optional()
    .describe(
      "The claim that has the scopes, as a list or as text with blanks. Default: by preset, else `scope`, and `scp` where there is none.",
    ),
  clientClaim: claimName
    .optional()
    .describe(
      "The claim that names the client. Default: by preset, else `client_id`, and `azp` or `cid` in tokens that are no `at+jwt`.",
    ),
  acrMap: z
    .record(z.string().min(1), z.string().min(1))
    .optional()
    .describe(
      "The provider's authentication levels → what routes call them in `acr`. With it, a level that is not in it counts as unknown. Default: by preset, else as the provider says.",
    ),
  authTimeFrom: z
    .string()
    .regex(/^(?:access_token|id_token|none|custom:[!-~]{1,256})$/, "is not a place")
    .optional()
    .meta({ rule: '`"access_token"`, `"id_token"`, `"none"`, or `"custom:<claim>"`' })
    .describe(
      "Where the provider says when a person signed in: `auth_time` of access tokens, of the ID token alone (browser sessions), nowhere, or another claim of access tokens. Where it is not known, no `maxAgeSeconds` is satisfied. Default: by preset, else `access_token`.",
    ),
  extraAuthParams: z
    .record(z.string().min(1), z.string())
    .optional()
    .describe(
      "Further parameters of the authorization request when people sign in in the browser. Default: by preset, else none.",
    ),
  signOutMode: z
    .enum(["provider", "local"])
    .optional()
    .describe(
      "What signing out in the browser ends: the session at the provider too (`end_session_endpoint`), or ours alone. Default: by preset, else `provider`.",
    ),
  client: clientSchema
    .optional()
    .describe(
      "The gateway's own registration at the provider: for browser sessions, `introspection`, `basic`, and logout tokens at `/.tidegate/backchannel-logout`.",
    ),
  commandLineClient: z
    .string()
    .min(1)
    .optional()
    .describe(
      "`client_id` of a public native client for `tidegate token`, registered with the redirect URI `http://127.0.0.1/callback`. Default: none; `--client` names one.",
    ),
  logoutTokenTypes: z
    .array(z.string().min(1))
    .min(1)
    .optional()
    .describe(
      'Accepted `typ` of logout tokens. Default: by preset, else `["logout+jwt"]` (OpenID Connect Back-Channel Logout 1.0).',
    ),
  browser: browserSchema
    .optional()
    .describe(
      "Let people sign in at this provider in the browser: the gateway keeps their tokens and gives them a session. Needs `client`.",
    ),
  introspection: introspectionSchema
    .optional()
    .describe("Ask the provider about tokens (RFC 7662). Needs `client` with a secret."),
  basic: basicSchema
    .optional()
    .describe(
      "Accept HTTP Basic and have the provider check it. It never satisfies `acr` or `maxAgeSeconds`. Needs `client` with a secret.",
    ),
  dpop: dpopSchema
    .prefault({})
    .describe("Tokens that are bound to a key of the client (RFC 9449)."),
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

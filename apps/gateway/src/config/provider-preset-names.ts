/** Providers that defaults are kept for. */
export const PROVIDER_PRESETS = ["auth0", "google", "keycloak", "okta", "embedded"] as const;
export type ProviderPreset = (typeof PROVIDER_PRESETS)[number];

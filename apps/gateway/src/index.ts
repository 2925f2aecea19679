export {
  apiKeys,
  bucket,
  concurrency,
  defineGateway,
  oidc,
  perHour,
  perMinute,
  perSecond,
  quota,
  usersFile,
  window,
  type Rate,
} from "./config/define.ts";
export type { Caller, KeyFunction } from "./judge/caller.ts";
export { auth0, embedded, google, keycloak, okta } from "./config/providers.ts";
export type { GatewayConfig, GatewayConfigInput } from "./config/schema.ts";

// The gateway inside a process of one's own.
export { createGateway, type Gateway, type GatewayAddresses } from "./gateway.ts";
export {
  ConfigError,
  type ConfigPath,
  type Mistake,
  type Position,
} from "./config/config-error.ts";
export { loadConfig, validateConfig, type LoadedConfig } from "./config/load-config.ts";

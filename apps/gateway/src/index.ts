export {
  bucket,
  defineGateway,
  oidc,
  perHour,
  perMinute,
  perSecond,
  usersFile,
  window,
  type Rate,
} from "./config/define.ts";
export type { GatewayConfig, GatewayConfigInput } from "./config/schema.ts";

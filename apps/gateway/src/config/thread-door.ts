// What a configuration imports as `tidegate` on a worker thread: the helpers it is written with. What runs a gateway would
// load all of it a second time on every thread, 17 MB each, and has no business in a configuration.

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
} from "./define.ts";
export { auth0, embedded, google, keycloak, okta } from "./providers.ts";
export { ConfigError } from "./config-error.ts";

const notHere = (name: string) => (): never => {
  throw new Error(`Cannot call ${name} on a worker thread: a configuration only says what to run`);
};

export const createGateway = notHere("createGateway");
export const loadConfig = notHere("loadConfig");
export const validateConfig = notHere("validateConfig");

export { startIdentity, type IdentityOptions, type IdentityServer } from "./server.ts";

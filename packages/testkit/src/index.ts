export { startChromium, type Chromium } from "./chromium.ts";
export { dpopClient, type DpopClient } from "./dpop-client.ts";
export { freePort } from "./free-port.ts";
export { readAnswer, type RawAnswer } from "./http-answer.ts";
export {
  startGlewlwyd,
  type Glewlwyd,
  type GlewlwydOptions,
  type GlewlwydPerson,
} from "./glewlwyd.ts";
export { issuer, type Issuer, type IssuerAlgorithm, type Outage } from "./issuer.ts";
export { missingProgram } from "./missing-program.ts";
export { startPostgres, type Postgres } from "./postgres.ts";
export { startProcess, type Exit, type RunningProcess } from "./process.ts";
export { rawConnection, type RawConnection } from "./raw-connection.ts";
export { startRawServer, type RawServer } from "./raw-server.ts";
export { startRedis, type Redis } from "./redis.ts";
export { tempFolder, type TempFolder } from "./temp-folder.ts";
export { startUpstream, type RecordedRequest, type Upstream } from "./upstream.ts";
export { waitFor } from "./wait-for.ts";

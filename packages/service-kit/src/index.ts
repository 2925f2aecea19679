export { backUp } from "./backup.ts";
export { Database } from "./database.ts";
export * as environment from "./environment.ts";
export {
  Fault,
  faultsOf,
  SERVICE_FAULTS,
  serviceFault,
  type FaultKind,
  type FaultTable,
  type Mistake,
} from "./fault.ts";
export { createIdentityGate, type IdentityGate } from "./identity-gate.ts";
export { LiveSocket } from "./live-socket.ts";
export { createLogger, LOG_LEVELS, type Logger, type LogLevel } from "./logger.ts";
export { mergePatch, MERGE_PATCH_MEDIA_TYPE } from "./merge-patch.ts";
export type { Migration } from "./migration.ts";
export { faultsOfRoute, openApiDocument, type ApiDescription, type Json } from "./openapi.ts";
export { createPageCursors, type PageCursors } from "./page-cursor.ts";
export { isNotModified, judgeIfMatch } from "./precondition.ts";
export { problemPage, ProblemSchema, toSlug, type Problem } from "./problem.ts";
export { stopInStages, stopOnSignal, type Stages } from "./process-life.ts";
export { randomUuid, timeUuid } from "./random-id.ts";
export type { ServiceRoute } from "./route-list.ts";
export type { FastifyReply as Reply, FastifyRequest as Request } from "fastify";
export { createService, type Service, type ServiceApp, type ServiceOptions } from "./service.ts";
export { SocketDoor } from "./socket-door.ts";
export { createStrictAjv, toMistakes } from "./validation.ts";

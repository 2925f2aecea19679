export { createSharedLimiter, type SharedLimiterOptions } from "./create-shared-limiter.ts";
export { type LimitStore, type StoreState, type StoreStatistics } from "./limit-store.ts";
export {
  connectRedis,
  type RedisConnection,
  type RedisConnectionEvents,
} from "./redis-connection.ts";
export { RedisStore, type RedisStoreOptions } from "./redis-store.ts";
export {
  createSharedReservation,
  PENDING,
  SHARED_OUTCOME,
  type SharedLimiter,
  type SharedOutcome,
  type SharedReservation,
  type SharedStatistics,
} from "./shared-limiter.ts";
export { sharingProblemsOf, type SharedLimit, type WhenStoreLost } from "./shared-plan.ts";

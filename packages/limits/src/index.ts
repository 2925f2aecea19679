export {
  DEFAULT_MAX_KEYS,
  MOST_SHARED_SLOTS,
  problemsOf,
  type BucketDefinition,
  type CalendarPeriod,
  type ConcurrencyDefinition,
  type LimitDefinition,
  type QuotaDefinition,
  type WindowDefinition,
} from "./limit-definition.ts";
export {
  createLimitReport,
  createReservation,
  MAX_LIMITS_AT_ONCE,
  NO_HANDLE,
  OUTCOME,
  type Limiter,
  type LimiterStatistics,
  type LimitReport,
  type Outcome,
  type Reservation,
} from "./limiter.ts";
export {
  beginLockOwner,
  createLimiterMemory,
  endLockOwner,
  type LimiterMemory,
} from "./limiter-memory.ts";
export { type LockOwner } from "./record-lock.ts";
export {
  attachLimiter,
  createLimiter,
  DEFAULT_MAX_HANDLES,
  DEFAULT_RESERVATION_MS,
} from "./create-limiter.ts";
export { type EmbeddedLimiter, type EmbeddedStatistics } from "./embedded-limiter.ts";
export { type DemandStatistics } from "./demand-statistics.ts";
export { type RestoredLimit } from "./limit-restore.ts";
export { suggestLimit, type LimitSuggestion } from "./suggest-limit.ts";
export { createKeyedLimiter, type Decision, type KeyedLimiter } from "./keyed-limiter.ts";
export { addressKey, type Ipv6Prefix } from "./address-key.ts";
export { callerKey } from "./caller-key.ts";
export {
  toLegacyFields,
  toLimitField,
  toPolicyField,
  toRateLimitPolicy,
  toRetryAfterSeconds,
  toViolatedPolicies,
  type RateLimitPolicy,
} from "./rate-limit-fields.ts";

import assert from "node:assert/strict";
import { systemClock, systemRandom, type Clock, type Random } from "@tidegate/clock";
import { createLimiter } from "./create-limiter.ts";
import type { LimitDefinition } from "./limit-definition.ts";
import {
  createLimitReport,
  MAX_LIMITS_AT_ONCE,
  OUTCOME,
  type Limiter,
  type LimitReport,
} from "./limiter.ts";
import {
  toLimitField,
  toPolicyField,
  toRateLimitPolicy,
  toRetryAfterSeconds,
  type RateLimitPolicy,
} from "./rate-limit-fields.ts";
import { RecentHandles } from "./recent-handles.ts";

/** Limits asked by key, for those who install this package alone. */
export interface KeyedLimiter {
  /**
   * Whether `cost` (default 1) was spent of every limit that the keys name. As `take`, but says no more than that, and
   * for keys seen lately allocates nothing.
   */
  admits(key: string | Readonly<Record<string, string>>, cost?: number): boolean;

  /**
   * Spends `cost` (default 1) of every limit that the keys name, or of none.
   * @param key one text for all limits, or for each limit's name its own: `{ address: "192.0.2.1", account: "ada" }`.
   *   Limits not named are not asked.
   */
  take(key: string | Readonly<Record<string, string>>, cost?: number): Decision;
  /** The same question; spends nothing. */
  peek(key: string | Readonly<Record<string, string>>, cost?: number): Decision;
}

/** What was decided, and what a client may be told. */
export interface Decision {
  readonly isAdmitted: boolean;
  /** The cost is above a limit's capacity: coming back is no use. */
  readonly isImpossible: boolean;
  /** Whole milliseconds until the same call would fit; 0 when admitted, `Infinity` when impossible. */
  readonly retryAfterMs: number;
  /** Units left in the limit that has the fewest. */
  readonly remaining: number;
  /** Names of the limits that refused. */
  readonly violated: readonly string[];
  /** `RateLimit-Policy`, `RateLimit` and, when refused and worth it, `Retry-After`. */
  readonly fields: Readonly<Record<string, string>>;
}

/** @throws {RangeError} naming every definition that cannot be honoured, a concurrency limit, or a name used twice */
export function createKeyedLimiter(options: {
  readonly definitions: readonly LimitDefinition[];
  readonly clock?: Clock;
  readonly random?: Random;
}): KeyedLimiter {
  const { definitions, clock = systemClock, random = systemRandom } = options;
  if (definitions.some(({ kind }) => kind === "concurrency")) {
    throw new RangeError(
      "Cannot make a limiter: what is in flight is reserved and finished; use createLimiter",
    );
  }
  const limiter = createLimiter({ definitions, random, clock });
  const names = definitions.map((definition) => definition.name);
  if (new Set(names).size < names.length || names.length > MAX_LIMITS_AT_ONCE) {
    throw new RangeError(
      `Cannot make a limiter: names must differ and be at most ${MAX_LIMITS_AT_ONCE}: ${names.join(", ")}`,
    );
  }
  const policies = definitions.map((definition) => toRateLimitPolicy(definition));
  const handles = new Int32Array(MAX_LIMITS_AT_ONCE);
  const costs = new Int32Array(MAX_LIMITS_AT_ONCE);
  const report = createLimitReport();

  const recent = definitions.map((_, limitIndex) => new RecentHandles(limiter, limitIndex));

  /** Sets handles and costs of the limits that the keys name; returns how many. */
  const name = (key: string | Readonly<Record<string, string>>, cost: number): number => {
    checkCost(cost);
    let count = 0;
    for (let limitIndex = 0; limitIndex < names.length; limitIndex++) {
      const own = typeof key === "string" ? key : key[names[limitIndex]!];
      if (own === undefined) continue;
      costs[count] = cost;
      handles[count] = recent[limitIndex]!.handleOf(own);
      count++;
    }
    assert(count > 0, "the keys name no limit");
    return count;
  };

  const ask = (
    how: "acquire" | "peek",
    key: string | Readonly<Record<string, string>>,
    cost: number,
  ): Decision => {
    const count = name(key, cost);
    const asked =
      typeof key === "string"
        ? policies
        : policies.filter((policy) => key[policy.name] !== undefined);
    const nowMs = clock.monotonicMs();
    const outcome = limiter[how](handles, costs, count, nowMs, report);
    if (outcome === OUTCOME.admitted) readLevels(limiter, { handles, costs, asked, nowMs, report });
    return toDecision(outcome, asked, report, random);
  };

  return {
    admits(key, cost = 1) {
      if (typeof key === "string" && names.length === 1) {
        checkCost(cost);
        return limiter.admits(recent[0]!.handleOf(key), cost, clock.monotonicMs());
      }
      const count = name(key, cost);
      return (
        limiter.acquire(handles, costs, count, clock.monotonicMs(), report) === OUTCOME.admitted
      );
    },
    take: (key, cost = 1) => ask("acquire", key, cost),
    peek: (key, cost = 1) => ask("peek", key, cost),
  };
}

function checkCost(cost: number): void {
  // Not by `assert` at once: its arguments would be made ready for every call.
  if (cost >>> 0 !== cost || cost > 0x7fff_ffff) assert.fail("cost must be a whole number");
}

/** After an admission: what is left, and when the next unit comes where nothing is. */
function readLevels(
  limiter: Limiter,
  call: {
    handles: Int32Array;
    costs: Int32Array;
    asked: readonly unknown[];
    nowMs: number;
    report: LimitReport;
  },
): void {
  call.costs.fill(1, 0, call.asked.length);
  limiter.peek(call.handles, call.costs, call.asked.length, call.nowMs, call.report);
}

function toDecision(
  outcome: number,
  asked: readonly RateLimitPolicy[],
  report: LimitReport,
  random: Random,
): Decision {
  const isAdmitted = outcome === OUTCOME.admitted;
  const fields: Record<string, string> = {
    "RateLimit-Policy": toPolicyField(asked),
    RateLimit: toLimitField(asked, report),
  };
  const retryAfterSeconds = isAdmitted ? undefined : toRetryAfterSeconds(report, random);
  if (retryAfterSeconds !== undefined) fields["Retry-After"] = String(retryAfterSeconds);
  return {
    isAdmitted,
    isImpossible: outcome === OUTCOME.impossible,
    retryAfterMs: isAdmitted ? 0 : report.retryAfterMs,
    remaining: Math.min(...report.remaining.subarray(0, asked.length)),
    violated: isAdmitted
      ? []
      : Array.from(report.violated.subarray(0, report.violatedCount), (at) => asked[at]!.name),
    fields,
  };
}

import assert from "node:assert/strict";
import type { Random } from "@tidegate/clock";
import type { LimitDefinition } from "./limit-definition.ts";
import type { LimitReport } from "./limiter.ts";

/*
 * The one place that knows the syntax of the RateLimit fields, so that a later draft changes one file.
 * Source: draft-ietf-httpapi-ratelimit-headers-10/-11, structured fields by RFC 9651, Retry-After by RFC 9110 §10.2.3.
 */

/** What a client may know about a limit; made once per limit. */
export interface RateLimitPolicy {
  readonly name: string;
  /** The most that can be spent within `windowSeconds`, counted from a full budget. */
  readonly quota: number;
  /** 0 where there is no window. */
  readonly windowSeconds: number;
  /** Item of `RateLimit-Policy`. */
  readonly item: string;
  /** Name as it stands in both fields. */
  readonly quotedName: string;
}

/**
 * @param unit what a unit of cost is; left out for requests, the default of the draft
 */
export function toRateLimitPolicy(
  definition: LimitDefinition,
  unit?: "requests" | "content-bytes" | "concurrent-requests",
): RateLimitPolicy {
  const [quota, seconds] = announcedOf(definition);
  const windowSeconds = Math.ceil(seconds);
  const quotedName = toQuoted(definition.name);
  const announcedUnit = definition.kind === "concurrency" ? "concurrent-requests" : unit;
  const unitParameter = announcedUnit === undefined ? "" : `;qu="${announcedUnit}"`;
  const windowParameter = windowSeconds === 0 ? "" : `;w=${windowSeconds}`;
  return {
    name: definition.name,
    quota,
    windowSeconds,
    quotedName,
    item: `${quotedName};q=${quota}${unitParameter}${windowParameter}`,
  };
}

/**
 * Quota and seconds as the draft knows them, in whole seconds: rounded up, the announcement is stricter than the limit.
 * A bucket is announced as its burst and the time in which that refills: the pace a client can keep. A calendar period
 * as its longest length. What is in flight has no window.
 */
function announcedOf(definition: LimitDefinition): readonly [quota: number, seconds: number] {
  switch (definition.kind) {
    case "bucket":
      return [
        definition.burst,
        Math.max(1, (definition.burst / definition.count) * definition.seconds),
      ];
    case "window":
      return [definition.limit, Math.max(1, definition.seconds)];
    case "quota":
      return [definition.limit, PERIOD_SECONDS[definition.period]];
    case "concurrency":
      return [definition.limit, 0];
  }
}

const PERIOD_SECONDS = { minute: 60, hour: 3_600, day: 86_400, week: 604_800, month: 2_678_400 };

/** Value of `RateLimit-Policy`; the same for every answer of a route, so worth keeping. */
export function toPolicyField(policies: readonly RateLimitPolicy[]): string {
  return policies.map((policy) => policy.item).join(", ");
}

/**
 * Value of `RateLimit`. `policies[i]` is that of the report's position i.
 * r is rounded down. t is rounded up to seconds: for a refused limit the wait until that call would fit, else the time until the whole
 * quota is back, so that r / t promises no faster pace than the limit has; left out when nothing is spent.
 */
export function toLimitField(policies: readonly RateLimitPolicy[], report: LimitReport): string {
  // Every answer carries it, so it is put together without intermediate lists.
  let field = "";
  for (let at = 0; at < policies.length; at++) {
    const seconds = secondsUntilMore(report, at);
    field += `${at === 0 ? "" : ", "}${policies[at]!.quotedName};r=${toRemaining(report, at)}`;
    if (seconds > 0) field += `;t=${seconds}`;
  }
  return field;
}

/** Names for `violated-policies` of the problem body. */
export function toViolatedPolicies(
  policies: readonly RateLimitPolicy[],
  report: LimitReport,
): string[] {
  return Array.from(
    report.violated.subarray(0, report.violatedCount),
    (at) => policies[at]?.name ?? "",
  ).filter((name) => name !== "");
}

/** The longest `Retry-After` jitter. Enough to spread a crowd, short enough not to annoy. */
const LONGEST_JITTER_SECONDS = 30;

/**
 * Value of `Retry-After` in whole seconds, at least 1 and never earlier than any t of a refused limit. Up to a tenth of the wait is
 * added at random (at least up to one second): told the same second, all refused clients would return in it.
 *
 * @returns undefined when coming back is no use (impossible cost)
 */
export function toRetryAfterSeconds(report: LimitReport, random: Random): number | undefined {
  if (!Number.isFinite(report.retryAfterMs)) return undefined;
  let seconds = Math.max(1, toSecondsUp(report.retryAfterMs));
  for (const at of report.violated.subarray(0, report.violatedCount)) {
    seconds = Math.max(seconds, secondsUntilMore(report, at));
  }
  const jitter = 1 + Math.min(LONGEST_JITTER_SECONDS - 1, Math.floor(seconds / 10));
  return seconds + Math.floor(random.unit() * (jitter + 1));
}

/**
 * The older fields, for clients that know no others: they can tell of one limit only, so the one with the smallest
 * share left speaks. `X-RateLimit-Reset` is in seconds from now, which needs no agreement of clocks.
 */
export function toLegacyFields(
  policies: readonly RateLimitPolicy[],
  report: LimitReport,
): Record<"X-RateLimit-Limit" | "X-RateLimit-Remaining" | "X-RateLimit-Reset", string> {
  assert(policies.length > 0, "no limit to tell of");
  let tightest = 0;
  for (const [at, policy] of policies.entries()) {
    const share = toRemaining(report, at) / policy.quota;
    if (share < toRemaining(report, tightest) / policies[tightest]!.quota) tightest = at;
  }
  return {
    "X-RateLimit-Limit": String(policies[tightest]!.quota),
    "X-RateLimit-Remaining": String(toRemaining(report, tightest)),
    "X-RateLimit-Reset": String(secondsUntilMore(report, tightest)),
  };
}

function toRemaining(report: LimitReport, at: number): number {
  return Math.max(0, Math.floor(report.remaining[at] ?? 0));
}

function secondsUntilMore(report: LimitReport, at: number): number {
  const wait = report.retryAfterEachMs[at] ?? 0;
  const ms = wait > 0 && Number.isFinite(wait) ? wait : (report.resetMs[at] ?? 0);
  return toSecondsUp(ms);
}

/**
 * Fractions of a millisecond are left out: they come from the engine's own rounding up, the answer takes longer to arrive,
 * and with them a window of 60 s would say 61.
 */
function toSecondsUp(ms: number): number {
  return Math.ceil(Math.floor(ms) / 1000);
}

/** RFC 9651 §4.1.6: a string holds printable ASCII only; backslash and quote are escaped. Anything else would be a header injection. */
function toQuoted(name: string): string {
  assert(/^[\x20-\x7e]*$/.test(name), "a policy's name must be printable ASCII");
  return `"${name.replaceAll(/["\\]/g, String.raw`\$&`)}"`;
}

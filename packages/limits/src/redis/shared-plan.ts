import { createHash } from "node:crypto";
import {
  DEFAULT_EXPIRE_SECONDS,
  EXACT_BY_DEFAULT_UP_TO,
  MOST_SHARED_SLOTS,
  problemsOf,
  type LimitDefinition,
} from "../limit-definition.ts";

/**
 * What calls under this limit get while Redis cannot be asked, after the leases in hand are spent.
 * `deny`: `unavailable`. `share`: each node may use its part of a reserve that Redis never hands out, so the limit holds
 * whoever is cut off. `local`: capacity / nodes on each node, not withheld: at most twice the limit while nodes are cut off. `open`: all.
 */
export type WhenStoreLost = "deny" | "share" | "local" | "open";

/** One limit that many nodes keep together. */
export interface SharedLimit {
  readonly definition: LimitDefinition;
  /** What nodes know it by; limits with the same one are one limit. Default: the definition's name. */
  readonly id?: string;
  readonly whenStoreLost: WhenStoreLost;
  /** Every call asks Redis, no leases: for limits where each unit counts. Default: leases once a caller is busy. */
  readonly isDirect?: boolean;
}

/** A shared limit in the numbers that the script takes. */
export interface SharedPlan {
  readonly definition: LimitDefinition;
  readonly kind: "window" | "bucket" | "quota" | "concurrency";
  readonly whenStoreLost: WhenStoreLost;
  readonly isDirect: boolean;
  /** The largest cost that can ever be admitted. */
  readonly capacity: number;
  /** What Redis may hand out: the capacity less what is withheld for `share`. */
  readonly sharedCapacity: number;
  /** window: its length in microseconds, rounded up. bucket: grains (1/64 us of refill) of one unit, rounded up. concurrency: how long a holder lives unheard of, in microseconds. */
  readonly span: number;
  /** window: cool-downs end on multiples of this many microseconds. 1 where exact; else span / 64, so at most 65 are kept. */
  readonly grid: number;
  /** Names the limit in Redis keys. */
  readonly tag: string;
  /** What this node alone may use while the store is lost; undefined where there is nothing. */
  readonly fallback: LimitDefinition | undefined;
}

export const GRAINS_PER_US = 64;
const GRIDS_PER_WINDOW = 64;
/** One year; see `ticks.ts`. 64 grains per microsecond keep a bucket of a year below 2^53. */
const US_PER_SECOND = 1e6;

/** Part of a limit that `share` withholds from Redis, for all nodes together. */
const SHARE = 0.2;

/** Renewals leave with the next tick and may be lost once. */
const LEAST_EXPIRE_SECONDS = 1;

/**
 * @param nodes the most nodes (threads count) that ask for this limit at once
 * @throws {RangeError} naming everything about the limit that cannot be honoured
 */
export function toSharedPlan(limit: SharedLimit, nodes: number): SharedPlan {
  const { definition, whenStoreLost } = limit;
  const problems = [...problemsOf(definition), ...sharingProblemsOf(limit)];
  if (problems.length > 0)
    throw new RangeError(`Cannot share limit ${definition.name}: ${problems.join("; ")}`);
  const capacity = capacityOf(definition);
  const perNode = whenStoreLost === "share" ? Math.floor((SHARE * capacity) / nodes) : 0;
  const sharedCapacity = capacity - perNode * nodes;
  const common = {
    definition,
    whenStoreLost,
    isDirect: limit.isDirect ?? false,
    capacity,
    sharedCapacity,
    tag: createHash("sha256")
      .update(`${definition.kind} ${limit.id ?? definition.name}`)
      .digest("base64url")
      .slice(0, 12),
    fallback: fallbackOf(
      definition,
      whenStoreLost === "local" ? Math.floor(capacity / nodes) : perNode,
    ),
  };
  if (definition.kind === "bucket") {
    const unitUs = (definition.seconds * US_PER_SECOND) / definition.count;
    // The withheld part of the burst has the same part of the refill.
    const span = Math.ceil(unitUs * GRAINS_PER_US * (capacity / sharedCapacity));
    return { ...common, kind: "bucket", span, grid: 0 };
  }
  if (definition.kind === "window") {
    const span = Math.ceil(definition.seconds * US_PER_SECOND);
    const isExact =
      definition.precision === "exact" ||
      (definition.precision === undefined && definition.limit <= EXACT_BY_DEFAULT_UP_TO);
    return {
      ...common,
      kind: "window",
      span,
      grid: isExact ? 1 : Math.ceil(span / GRIDS_PER_WINDOW),
    };
  }
  if (definition.kind === "concurrency") {
    const expireSeconds = definition.expireSeconds ?? DEFAULT_EXPIRE_SECONDS;
    return { ...common, kind: "concurrency", span: expireSeconds * US_PER_SECOND, grid: 0 };
  }
  return { ...common, kind: "quota", span: 0, grid: 0 };
}

/** Why a sound definition cannot be shared; empty when it can. */
export function sharingProblemsOf({ definition, whenStoreLost }: SharedLimit): string[] {
  const problems: string[] = [];
  if (definition.kind === "concurrency") {
    if (definition.limit > MOST_SHARED_SLOTS)
      problems.push(
        `limit is ${definition.limit}: at most ${MOST_SHARED_SLOTS} slots can be shared`,
      );
    if ((definition.expireSeconds ?? DEFAULT_EXPIRE_SECONDS) < LEAST_EXPIRE_SECONDS)
      problems.push(
        `expireSeconds is ${definition.expireSeconds}: must be at least ${LEAST_EXPIRE_SECONDS}`,
      );
  }
  if (definition.shadow === true) problems.push("shadow is true: only local limits have it");
  if ("countDenied" in definition && definition.countDenied)
    problems.push("countDenied is true: only local limits have it");
  const isDivided = whenStoreLost === "share" || whenStoreLost === "local";
  if (isDivided && (definition.kind === "quota" || definition.kind === "concurrency"))
    problems.push(
      `whenStoreLost is "${whenStoreLost}": a ${definition.kind} allows "deny" or "open"`,
    );
  return problems;
}

function capacityOf(definition: LimitDefinition): number {
  return definition.kind === "bucket" ? definition.burst : definition.limit;
}

/** The same limit with `capacity` units, and for a bucket with the same part of the refill. */
function fallbackOf(definition: LimitDefinition, capacity: number): LimitDefinition | undefined {
  if (capacity < 1) return undefined;
  if (definition.kind === "bucket") {
    const seconds = (definition.seconds * definition.burst) / capacity;
    return { ...definition, seconds, burst: capacity };
  }
  return definition.kind === "window" ? { ...definition, limit: capacity } : undefined;
}

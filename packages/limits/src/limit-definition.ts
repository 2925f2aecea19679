import { isTimeZone } from "./calendar-period.ts";
import { LONGEST_SPAN_SECONDS } from "./ticks.ts";

/** What every kind of limit may say. */
interface AnyDefinition {
  /** Shown to clients as the policy's name; printable ASCII. */
  readonly name: string;
  /** The most callers told apart at once; see `DEFAULT_MAX_KEYS`. */
  readonly maxKeys?: number;
  /**
   * Shadow mode: decided and counted, never refused for. What it would have refused is not charged, so it counts as
   * it would in earnest; and it measures demand, from which `suggestLimit` proposes numbers. Default false.
   */
  readonly shadow?: boolean;
}

/**
 * Token bucket. Guarantee: for every s < t, the cost admitted in (s, t] is at most
 * `burst + count / seconds * (t - s)`.
 */
export interface BucketDefinition extends AnyDefinition {
  readonly kind: "bucket";
  /** Units refilled per `seconds`. */
  readonly count: number;
  readonly seconds: number;
  /** The most that can be spent at one instant, and the largest cost that can ever be admitted. */
  readonly burst: number;
  /** For sign-in limits: what this limit refuses takes all that is left, so that trying on keeps it empty. Default false. */
  readonly countDenied?: boolean;
}

/** Strict sliding window. Guarantee: for every t, the cost admitted in (t - seconds, t] is at most `limit`. */
export interface WindowDefinition extends AnyDefinition {
  readonly kind: "window";
  readonly limit: number;
  readonly seconds: number;
  /**
   * How admitted cost is remembered.
   * `exact`: every unit with its time, 4 bytes each; a unit comes free exactly `seconds` after it was spent
   * (at most seconds / 2^23 later; to the millisecond for windows of up to some hours).
   * `sub-windows`: 32 counters; never over-admits, but a unit may stay spent up to seconds / 32 (3.2 %) too long.
   * Default: `exact` up to a limit of 16, else `sub-windows`.
   */
  readonly precision?: "exact" | "sub-windows";
  /** For sign-in limits: attempts that this limit refuses count too, so that only silence helps. Default false. */
  readonly countDenied?: boolean;
}

/**
 * Calendar quota. Guarantee: the cost admitted in one calendar period is at most `limit`, whatever steps the wall
 * clock makes: a period once left is never entered again.
 */
export interface QuotaDefinition extends AnyDefinition {
  readonly kind: "quota";
  readonly limit: number;
  /** `week` begins on Monday (ISO 8601). */
  readonly period: CalendarPeriod;
  /** IANA name; default `UTC`. */
  readonly timeZone?: string;
}

export type CalendarPeriod = "minute" | "hour" | "day" | "week" | "month";

/**
 * In flight. Guarantee: at every instant the cost held by reservations that were neither finished nor lost is at
 * most `limit`. Only for `reserve`; `finish` gives back.
 */
export interface ConcurrencyDefinition extends AnyDefinition {
  readonly kind: "concurrency";
  readonly limit: number;
  /**
   * A holder not heard of for this long is lost and its slots come free, at the latest after twice as long: its
   * caller forgot it, or its thread ended and nobody called `reclaimHeld`. Whoever holds longer calls `renew` more often than this. Default 60.
   */
  readonly expireSeconds?: number;
}

/** One limit as plain data: it may come from JSON and be sent to another thread. */
export type LimitDefinition =
  | BucketDefinition
  | WindowDefinition
  | QuotaDefinition
  | ConcurrencyDefinition;

/**
 * Callers told apart per limit unless the definition says otherwise. Each limit has a table of its own, so a flood
 * of addresses cannot crowd out users. Address space is reserved for all, memory is taken as records come into use:
 * about 28 to 100 bytes each. When the table is full, new callers share coarse records until others expire.
 */
export const DEFAULT_MAX_KEYS = 131_072;

/** Up to this limit a window is exact unless told otherwise: the record stays within 96 bytes. */
export const EXACT_BY_DEFAULT_UP_TO = 16;

export const DEFAULT_EXPIRE_SECONDS = 60;

/** Slots of a `concurrency` limit that nodes share: each holder is an entry that every call of its caller reads in the store. */
export const MOST_SHARED_SLOTS = 1_000;

const LARGEST_EXACT_LIMIT = 4_096;
const LARGEST_CAPACITY = 2 ** 31 - 1;
/** What is in flight is counted in 24 bits. */
const LARGEST_CONCURRENCY = 2 ** 24 - 1;
const LARGEST_MAX_KEYS = 2 ** 24;
const PERIODS: readonly CalendarPeriod[] = ["minute", "hour", "day", "week", "month"];

/**
 * Every reason why a definition cannot be honoured, in words that name the field, its value and what is allowed;
 * empty when it is sound.
 */
export function problemsOf(definition: LimitDefinition): string[] {
  const problems: string[] = [];
  const whole = (field: string, value: unknown, most: number): void => {
    if (Number.isSafeInteger(value) && Number(value) >= 1 && Number(value) <= most) return;
    problems.push(`${field} is ${String(value)}: must be a whole number from 1 to ${most}`);
  };
  const span = (field: string, value: unknown): void => {
    if (typeof value === "number" && value >= 0.001 && value <= LONGEST_SPAN_SECONDS) return;
    problems.push(`${field} is ${String(value)}: must be from 0.001 to ${LONGEST_SPAN_SECONDS}`);
  };
  const oneOf = (field: string, value: unknown, allowed: readonly (string | undefined)[]): void => {
    if (allowed.some((each) => each === value)) return;
    const choice = allowed.flatMap((each) => (each === undefined ? [] : [`"${each}"`]));
    problems.push(`${field} is ${JSON.stringify(value)}: must be ${choice.join(" or ")}`);
  };
  const flag = (field: string, value: unknown): void => {
    if (value === undefined || typeof value === "boolean") return;
    problems.push(`${field} is ${JSON.stringify(value)}: must be true or false`);
  };

  if (typeof definition.name !== "string" || !/^[\x20-\x7e]{1,64}$/.test(definition.name)) {
    problems.push(
      `name is ${JSON.stringify(definition.name)}: must be 1 to 64 printable ASCII characters`,
    );
  }
  if (definition.maxKeys !== undefined) whole("maxKeys", definition.maxKeys, LARGEST_MAX_KEYS);
  flag("shadow", definition.shadow);
  if ("countDenied" in definition) flag("countDenied", definition.countDenied);

  switch (definition.kind) {
    case "bucket":
      span("seconds", definition.seconds);
      whole("count", definition.count, LARGEST_CAPACITY);
      whole("burst", definition.burst, LARGEST_CAPACITY);
      if ((definition.seconds / definition.count) * definition.burst > LONGEST_SPAN_SECONDS) {
        problems.push(
          `burst is ${definition.burst}: must refill within ${LONGEST_SPAN_SECONDS} seconds at ${definition.count} per ${definition.seconds} s`,
        );
      }
      break;
    case "window":
      span("seconds", definition.seconds);
      whole("limit", definition.limit, LARGEST_CAPACITY);
      if (definition.precision === "exact" && definition.limit > LARGEST_EXACT_LIMIT) {
        problems.push(
          `limit is ${definition.limit}: precision "exact" allows at most ${LARGEST_EXACT_LIMIT}; use "sub-windows"`,
        );
      }
      oneOf("precision", definition.precision, ["exact", "sub-windows", undefined]);
      break;
    case "quota":
      whole("limit", definition.limit, LARGEST_CAPACITY);
      oneOf("period", definition.period, PERIODS);
      if (definition.timeZone !== undefined && !isTimeZone(definition.timeZone)) {
        problems.push(
          `timeZone is ${JSON.stringify(definition.timeZone)}: must be an IANA name such as "Europe/Zurich"`,
        );
      }
      break;
    case "concurrency":
      whole("limit", definition.limit, LARGEST_CONCURRENCY);
      if (definition.expireSeconds !== undefined) span("expireSeconds", definition.expireSeconds);
      break;
    default: {
      const { kind } = definition as { kind: unknown };
      problems.push(
        `kind is ${JSON.stringify(kind)}: must be "bucket", "window", "quota" or "concurrency"`,
      );
    }
  }
  return problems;
}

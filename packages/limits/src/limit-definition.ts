import { LONGEST_SPAN_SECONDS } from "./ticks.ts";

/**
 * Token bucket. Guarantee: for every s < t, the cost admitted in (s, t] is at most
 * `burst + count / seconds * (t - s)`.
 */
export interface BucketDefinition {
  readonly kind: "bucket";
  /** Shown to clients as the policy's name; printable ASCII. */
  readonly name: string;
  /** Units refilled per `seconds`. */
  readonly count: number;
  readonly seconds: number;
  /** The most that can be spent at one instant, and the largest cost that can ever be admitted. */
  readonly burst: number;
  /** The most callers told apart at once; see `DEFAULT_MAX_KEYS`. */
  readonly maxKeys?: number;
}

/** Strict sliding window. Guarantee: for every t, the cost admitted in (t - seconds, t] is at most `limit`. */
export interface WindowDefinition {
  readonly kind: "window";
  /** Shown to clients as the policy's name; printable ASCII. */
  readonly name: string;
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
  /** The most callers told apart at once; see `DEFAULT_MAX_KEYS`. */
  readonly maxKeys?: number;
}

/** One limit as plain data: it may come from JSON and be sent to another thread. */
export type LimitDefinition = BucketDefinition | WindowDefinition;

/**
 * Callers told apart per limit unless the definition says otherwise. Each limit has a table of its own, so a flood
 * of addresses cannot crowd out users. Address space is reserved for all, memory is taken as records come into use:
 * about 36 to 100 bytes each. When the table is full, new callers share coarse records until others expire.
 */
export const DEFAULT_MAX_KEYS = 131_072;

/** Up to this limit a window is exact unless told otherwise: the record stays within 96 bytes. */
export const EXACT_BY_DEFAULT_UP_TO = 16;

const LARGEST_EXACT_LIMIT = 4_096;
const LARGEST_CAPACITY = 2 ** 31 - 1;
const LARGEST_MAX_KEYS = 2 ** 24;

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

  if (typeof definition.name !== "string" || !/^[\x20-\x7e]{1,64}$/.test(definition.name)) {
    problems.push(
      `name is ${JSON.stringify(definition.name)}: must be 1 to 64 printable ASCII characters`,
    );
  }
  span("seconds", definition.seconds);
  if (definition.maxKeys !== undefined) whole("maxKeys", definition.maxKeys, LARGEST_MAX_KEYS);

  switch (definition.kind) {
    case "bucket":
      whole("count", definition.count, LARGEST_CAPACITY);
      whole("burst", definition.burst, LARGEST_CAPACITY);
      if ((definition.seconds / definition.count) * definition.burst > LONGEST_SPAN_SECONDS) {
        problems.push(
          `burst is ${definition.burst}: must refill within ${LONGEST_SPAN_SECONDS} seconds at ${definition.count} per ${definition.seconds} s`,
        );
      }
      break;
    case "window":
      whole("limit", definition.limit, LARGEST_CAPACITY);
      if (definition.precision === "exact" && definition.limit > LARGEST_EXACT_LIMIT) {
        problems.push(
          `limit is ${definition.limit}: precision "exact" allows at most ${LARGEST_EXACT_LIMIT}; use "sub-windows"`,
        );
      }
      if (!["exact", "sub-windows", undefined].includes(definition.precision)) {
        problems.push(
          `precision is ${JSON.stringify(definition.precision)}: must be "exact" or "sub-windows"`,
        );
      }
      break;
    default: {
      const { kind } = definition as { kind: unknown };
      problems.push(`kind is ${JSON.stringify(kind)}: must be "bucket" or "window"`);
    }
  }
  return problems;
}

import {
  DEFAULT_EXPIRE_SECONDS,
  DEFAULT_MAX_KEYS,
  EXACT_BY_DEFAULT_UP_TO,
  type LimitDefinition,
} from "./limit-definition.ts";
import type { QuotaCalendar } from "./quota-calendar.ts";
import { TICKS_PER_MS } from "./ticks.ts";

export const KIND = { bucket: 0, windowExact: 1, windowSub: 2, quota: 3, concurrency: 4 } as const;
export type Kind = (typeof KIND)[keyof typeof KIND];

/** Sub-windows per window of the large kind: a unit is held at most 1/32 of the window too long. */
export const SUB_WINDOWS = 32;

/**
 * Coarse records at the start of each table, used when it is full. 64: with fewer, one abuser's
 * debt denies a larger share of newcomers; with more, the reserve costs memory in every small table.
 */
export const SPILL_RECORDS = 64;

/** Words at the end of a record whose limit measures demand; see `demand-meter.ts`. */
export const METER_WORDS = 4;

/** A concurrency limit has no window of its own; its demand is measured by the minute. */
const CONCURRENCY_METER_MS = 60_000;

/** Words (8 bytes) of a record before the kind's own: identity; chain and lock. */
export const HEADER_WORDS = 2;

/** A definition turned into whole numbers, together with where its table lies and the views on it. */
export interface LimitPlan {
  readonly kind: Kind;
  /** Largest cost that can ever be admitted. */
  readonly capacity: number;
  /** bucket: ticks that one unit takes to refill, rounded up. windows: ticks of one unit of the record's time. */
  readonly unitTicks: number;
  /** bucket: ticks that a whole burst takes. windows: ticks of the window, rounded up. */
  readonly spanTicks: number;
  /** windowExact: the window in the record's time units, rounded up. */
  readonly spanUnits: number;
  /** bucket: ticks of one reservation epoch. concurrency: after one to two of these a holder is lost. */
  readonly epochTicks: number;
  /** Decides and counts, refuses nobody. */
  readonly isShadow: boolean;
  /** What it refuses is charged. */
  readonly countsDenied: boolean;
  /** Word of a record where its meter begins; 0 when demand is not measured. */
  readonly meterAt: number;
  /** Ticks of a quarter of the window that demand is measured in. */
  readonly quarterTicks: number;
  /** First 32-bit element of the histogram of demand; 0 when it is not measured. */
  readonly histogram: number;
  /** quota: this thread's calendar. */
  readonly calendar: QuotaCalendar | undefined;
  readonly recordWords: number;
  /** Records in the table, the coarse ones included; their numbers are [0, records). */
  readonly records: number;
  /** First word of the table's header. */
  readonly header: number;
  /** First word of record 0. */
  readonly firstRecord: number;
  /** First 32-bit element of the chain heads, and their count - 1 (a power of two - 1). */
  readonly heads: number;
  readonly headsMask: number;
  /**
   * What a decision takes and gives besides whole numbers, for all limits of this thread: `NOW` and `BOOKED_AT`. A double that is
   * passed to or returned from a function that is not inlined is allocated; one in here is not.
   */
  readonly ticks: Float64Array;
  readonly i32: Int32Array;
  readonly f64: Float64Array;
  /** windowSub: 8-bit or 16-bit counters where the limit fits, else 32-bit. */
  readonly counters: Uint8Array | Uint16Array | Int32Array;
  /** windowSub: counters per word of the record. */
  readonly countersPerWord: number;
}

/** Elements of `LimitPlan.ticks`: the tick of the call in progress; and when the last charge was booked, in the kind's own terms. */
export const NOW = 0;
export const BOOKED_AT = 1;

/** Words of a table's header; see `limit-table.ts`. One cache line, so that two tables' locks do not share one. */
export const TABLE_HEADER_WORDS = 8;

// 32-bit elements of a table's header that are not the table's own.
/** Calls that the limit refused (in shadow: would have refused), counted by whoever refuses. */
export const REFUSALS = 7;
/** Units spent above the limit by `settle` or `debit`. */
export const OVERRUN = 8;
/** quota: the latest period entered. */
export const LATEST_PERIOD = 9;

/** Numbers of a plan that do not depend on where it lies. */
export type PlanShape = Omit<
  LimitPlan,
  | "header"
  | "histogram"
  | "calendar"
  | "firstRecord"
  | "heads"
  | "ticks"
  | "i32"
  | "f64"
  | "counters"
>;

/** @param reservationMs how long a refund is possible at least */
export function toPlanShape(definition: LimitDefinition, reservationMs: number): PlanShape {
  const records = SPILL_RECORDS + (definition.maxKeys ?? DEFAULT_MAX_KEYS);
  const kind = kindShape(definition, reservationMs);
  const isShadow = definition.shadow === true;
  return {
    ...kind,
    isShadow,
    countsDenied: ("countDenied" in definition && definition.countDenied) ?? false,
    records,
    // At most one record per head on average.
    headsMask: 2 ** Math.ceil(Math.log2(records)) - 1,
    meterAt: isShadow ? kind.recordWords : 0,
    quarterTicks: Math.ceil(meterMs(definition) * (TICKS_PER_MS / 4)),
    recordWords: kind.recordWords + (isShadow ? METER_WORDS : 0),
  };
}

/**
 * One literal that names every field. Spread or assigned together, an object of so many fields is a hash map to the
 * runtime, and each look at it costs a search: measured, a decision of 120 ns in place of 30.
 */
export function toPlan(
  table: PlacedShape,
  views: Pick<LimitPlan, "ticks" | "i32" | "f64" | "calendar"> & {
    readonly u8: Uint8Array;
    readonly u16: Uint16Array;
  },
): LimitPlan {
  return {
    kind: table.kind,
    capacity: table.capacity,
    unitTicks: table.unitTicks,
    spanTicks: table.spanTicks,
    spanUnits: table.spanUnits,
    epochTicks: table.epochTicks,
    isShadow: table.isShadow,
    countsDenied: table.countsDenied,
    meterAt: table.meterAt,
    quarterTicks: table.quarterTicks,
    histogram: table.histogram,
    calendar: views.calendar,
    recordWords: table.recordWords,
    records: table.records,
    header: table.header,
    firstRecord: table.firstRecord,
    heads: table.heads,
    headsMask: table.headsMask,
    ticks: views.ticks,
    i32: views.i32,
    f64: views.f64,
    counters: { 8: views.u8, 4: views.u16 }[table.countersPerWord] ?? views.i32,
    countersPerWord: table.countersPerWord,
  };
}

/** A shape and where its parts lie. */
type PlacedShape = PlanShape & Pick<LimitPlan, "header" | "histogram" | "heads" | "firstRecord">;

type KindShape = Omit<
  PlanShape,
  "isShadow" | "countsDenied" | "records" | "headsMask" | "meterAt" | "quarterTicks"
>;

function kindShape(definition: LimitDefinition, reservationMs: number): KindShape {
  const common = {
    epochTicks: Math.ceil(reservationMs * TICKS_PER_MS),
    unitTicks: 1,
    spanTicks: 0,
    spanUnits: 0,
    countersPerWord: 2,
  };
  switch (definition.kind) {
    case "bucket": {
      // Rounded up: a refill rounded down would run faster than promised.
      const unitTicks = Math.ceil((definition.seconds * 1000 * TICKS_PER_MS) / definition.count);
      return {
        ...common,
        kind: KIND.bucket,
        capacity: definition.burst,
        unitTicks,
        spanTicks: unitTicks * definition.burst,
        recordWords: HEADER_WORDS + 2,
      };
    }
    case "window":
      return { ...common, ...windowShape(definition) };
    case "quota":
      return {
        ...common,
        kind: KIND.quota,
        capacity: definition.limit,
        recordWords: HEADER_WORDS + 1,
      };
    case "concurrency": {
      const expireSeconds = definition.expireSeconds ?? DEFAULT_EXPIRE_SECONDS;
      return {
        ...common,
        kind: KIND.concurrency,
        capacity: definition.limit,
        epochTicks: Math.ceil(expireSeconds * 1000 * TICKS_PER_MS),
        recordWords: HEADER_WORDS + 1,
      };
    }
  }
}

function windowShape(definition: LimitDefinition & { kind: "window" }) {
  const spanTicks = Math.ceil(definition.seconds * 1000 * TICKS_PER_MS);
  const precision =
    definition.precision ?? (definition.limit <= EXACT_BY_DEFAULT_UP_TO ? "exact" : "sub-windows");
  if (precision === "exact") {
    // Times are kept in 32 bits and compared by difference, so the oldest one of a record that never falls idle
    // (limit + 1 windows) must stay within half of the circle.
    let unitTicks = 1;
    while ((spanTicks / unitTicks) * (definition.limit + 3) > 2 ** 31) unitTicks *= 2;
    return {
      kind: KIND.windowExact,
      capacity: definition.limit,
      unitTicks,
      spanTicks,
      spanUnits: Math.ceil(spanTicks / unitTicks),
      recordWords: HEADER_WORDS + 1 + Math.ceil((1 + definition.limit) / 2),
    };
  }
  const countersPerWord = definition.limit <= 0xff ? 8 : definition.limit <= 0xffff ? 4 : 2;
  return {
    kind: KIND.windowSub,
    capacity: definition.limit,
    unitTicks: Math.ceil(spanTicks / SUB_WINDOWS),
    spanTicks,
    countersPerWord,
    recordWords: HEADER_WORDS + 2 + Math.ceil((SUB_WINDOWS + 1) / countersPerWord),
  };
}

/** The window in which demand is measured; a quota's is its period. */
function meterMs(definition: LimitDefinition): number {
  return definition.kind === "bucket" || definition.kind === "window"
    ? definition.seconds * 1000
    : CONCURRENCY_METER_MS;
}

import assert from "node:assert/strict";
import type { Clock, Random } from "@tidegate/clock";
import { HISTOGRAM_BUCKETS } from "./demand-meter.ts";
import { HOLDER_LOG_ELEMENTS, needsHolderLogs, type HolderPlace } from "./holder-log.ts";
import { problemsOf, type LimitDefinition } from "./limit-definition.ts";
import {
  LATEST_PERIOD,
  TABLE_HEADER_WORDS,
  toPlan,
  toPlanShape,
  type LimitPlan,
} from "./limit-plan.ts";
import { readSnapshot } from "./limit-snapshot.ts";
import { restoreSnapshot, type RestoredLimit } from "./limit-restore.ts";
import { initTable } from "./limit-table.ts";
import { QuotaCalendar } from "./quota-calendar.ts";
import { beginOwner, endOwner, MAX_LOCK_OWNERS, type LockOwner } from "./record-lock.ts";

/**
 * All that threads must have in common to share one limiter: send it to a worker as it is and
 * `attachLimiter` there. The layout follows from the definitions and `threads`.
 */
export interface LimiterMemory {
  readonly buffer: SharedArrayBuffer;
  readonly definitions: readonly LimitDefinition[];
  /** Key of the hash. Known to nobody outside: with it, colliding keys can be made. */
  readonly secret: Uint8Array;
  readonly reservationMs: number;
  /** Threads of lock owners [1, threads] write down what they hold of concurrency limits. */
  readonly threads: number;
  /** What became of each limit of the snapshot that this memory began with. */
  readonly restored: readonly RestoredLimit[];
}

/** Generations of the lock owners, one 32-bit element each, at the start of the memory. */
const OWNER_TABLE_WORDS = 64;

// A record is addressed by a 32-bit number of 8-byte words.
const LARGEST_BUFFER_BYTES = 8 * (2 ** 31 - 1);

/**
 * Lays out and reserves the memory. The operating system commits pages as they are first written, so an unused
 * table costs address space only.
 *
 * @throws {RangeError} naming every definition that cannot be honoured, or why the snapshot cannot be read
 */
export function createLimiterMemory(options: {
  readonly definitions: readonly LimitDefinition[];
  readonly reservationMs: number;
  readonly random: Random;
  /**
   * How many threads will use it, as lock owners 1 to this. What they hold of concurrency limits is written down, for
   * `reclaimHeld`. Default 0: what a dead thread held comes free by expiry.
   */
  readonly threads?: number;
  /** What an earlier limiter spent: `snapshot` bytes of it, and the clock of now. Its secret is taken over. */
  readonly snapshot?: { readonly bytes: Uint8Array; readonly clock: Clock } | undefined;
}): LimiterMemory {
  const { definitions, reservationMs, random, snapshot, threads = 0 } = options;
  const problems = definitions.flatMap((definition, index) =>
    problemsOf(definition).map((problem) => `definitions[${index}].${problem}`),
  );
  if (problems.length > 0) {
    throw new RangeError(`Cannot make a limiter:\n  ${problems.join("\n  ")}`);
  }
  assert(reservationMs >= 1 && reservationMs <= 3_600_000, "reservationMs must be 1 to 3600000");
  assert(threads >= 0 && threads <= MAX_LOCK_OWNERS, "threads must be 0 to 126");

  const bytes = 8 * layOut({ definitions, reservationMs, threads }).words;
  if (bytes > LARGEST_BUFFER_BYTES) {
    throw new RangeError(
      `Cannot make a limiter: tables of ${bytes} bytes are above ${LARGEST_BUFFER_BYTES}; lower maxKeys`,
    );
  }
  const earlier = snapshot === undefined ? undefined : readSnapshot(snapshot.bytes);
  const memory = {
    buffer: new SharedArrayBuffer(bytes),
    definitions: structuredClone(definitions),
    secret: earlier?.secret ?? Uint8Array.from(random.bytes(16)),
    reservationMs,
    threads,
    restored: [],
  };
  const plans = toPlans(memory, snapshot?.clock);
  for (const plan of plans) initTable(plan);
  if (snapshot === undefined || earlier === undefined) return memory;
  const restored = restoreSnapshot({ memory, plans, earlier, clock: snapshot.clock });
  return { ...memory, restored };
}

/**
 * Begins the life of a thread that will use the memory; for its supervisor, before the thread starts.
 * @param owner 1 to 126, one per thread; a thread started again under a number gets a new life
 */
export function beginLockOwner(memory: LimiterMemory, owner: number): LockOwner {
  return beginOwner(new Int32Array(memory.buffer), owner);
}

/** Declares a thread ended, so that others take over the locks it died with. Only after its `exit` event. */
export function endLockOwner(memory: LimiterMemory, life: LockOwner): void {
  endOwner(new Int32Array(memory.buffer), life);
}

/**
 * The plans with their views on `memory`; the same on every thread.
 * @param clock what quotas read the calendar from; without one they cannot be asked
 */
export function toPlans(memory: LimiterMemory, clock: Clock | undefined): LimitPlan[] {
  const i32 = new Int32Array(memory.buffer);
  const f64 = new Float64Array(memory.buffer);
  const u8 = new Uint8Array(memory.buffer);
  const u16 = new Uint16Array(memory.buffer);
  const ticks = new Float64Array(2);
  return layOut(memory).tables.map((table, index) => {
    const definition = memory.definitions[index]!;
    const calendar =
      definition.kind === "quota" && clock !== undefined
        ? new QuotaCalendar(definition, clock, i32, 2 * table.header + LATEST_PERIOD)
        : undefined;
    return toPlan(table, { ticks, i32, f64, u8, u16, calendar });
  });
}

/** Where the thread of lock owner `owner` writes down what it holds; undefined when nothing is to be. */
export function holderPlace(memory: LimiterMemory, life: LockOwner): HolderPlace | undefined {
  const owner = life >>> 24;
  const { holders } = layOut(memory);
  if (holders === 0 || owner > memory.threads) return undefined;
  const i32 = new Int32Array(memory.buffer);
  return { i32, first: holders + (owner - 1) * HOLDER_LOG_ELEMENTS };
}

function layOut(memory: Pick<LimiterMemory, "definitions" | "reservationMs" | "threads">) {
  const { definitions, reservationMs, threads } = memory;
  let words = OWNER_TABLE_WORDS;
  const tables = definitions.map((definition) => {
    const shape = toPlanShape(definition, reservationMs);
    const header = words;
    const histogram = header + TABLE_HEADER_WORDS;
    const firstHead = histogram + (shape.isShadow ? HISTOGRAM_BUCKETS / 2 : 0);
    const firstRecord = firstHead + (shape.headsMask + 1) / 2;
    // The next header begins on a cache line of its own.
    words = Math.ceil((firstRecord + shape.records * shape.recordWords) / 8) * 8;
    return {
      ...shape,
      header,
      histogram: shape.isShadow ? 2 * histogram : 0,
      heads: 2 * firstHead,
      firstRecord,
    };
  });
  if (threads === 0 || !needsHolderLogs(tables)) return { words, tables, holders: 0 };
  // First 32-bit element of the logs.
  const holders = 2 * words;
  return { words: words + (threads * HOLDER_LOG_ELEMENTS) / 2, tables, holders };
}

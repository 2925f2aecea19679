import type { Clock } from "@tidegate/clock";
import { resumeBucket } from "./bucket.ts";
import type { LimitDefinition } from "./limit-definition.ts";
import { overcharge, remainingOf } from "./limit-kind.ts";
import {
  HEADER_WORDS,
  KIND,
  LATEST_PERIOD,
  NOW,
  toPlan,
  toPlanShape,
  type LimitPlan,
} from "./limit-plan.ts";
import type { SavedLimit, Snapshot } from "./limit-snapshot.ts";
import { findOrInsert, isCoarse, markSpilled, recordAt } from "./limit-table.ts";
import type { LimiterMemory } from "./limiter-memory.ts";
import { periodOfRecord } from "./quota.ts";
import { NoLocks } from "./record-lock.ts";
import { TICKS_PER_MS } from "./ticks.ts";
import { resumeWindowExact } from "./window-exact.ts";
import { resumeWindowSub } from "./window-sub.ts";

/**
 * Puts a snapshot into fresh memory.
 *
 * Time: the monotonic clock began anew, so what passed meanwhile is told by the wall clock, as nothing when that
 * went back. A wall clock stepped forward meanwhile gives budgets back that much too early: the one doubt
 * that cannot be told from a long pause.
 *
 * A limit whose numbers are the same goes on as it was. One whose numbers changed keeps what was spent: all units that the old
 * one still counted (the fullest caller: its whole capacity) count as spent now, under the new numbers. That is
 * later than they were, so it denies rather than admits. What the old limit had forgotten the new one cannot know:
 * with a longer window, the time before.
 */
export function restoreSnapshot(options: {
  readonly memory: LimiterMemory;
  readonly plans: readonly LimitPlan[];
  readonly earlier: Snapshot;
  readonly clock: Clock;
}): RestoredLimit[] {
  const { memory, plans, earlier, clock } = options;
  const nowTicks = Math.floor(clock.monotonicMs() * TICKS_PER_MS);
  const passedTicks = Math.max(0, Math.floor((clock.wallMs() - earlier.wallMs) * TICKS_PER_MS));
  return earlier.limits.map((saved) => {
    const { name } = saved.definition;
    const index = memory.definitions.findIndex((definition) => definition.name === name);
    const plan = plans[index];
    if (plan === undefined || [plan.kind, saved.definition.kind].some(isOfHolders)) {
      return { name, how: "dropped", keys: 0 };
    }
    const isSame = numbersOf(memory.definitions[index]!) === numbersOf(saved.definition);
    const old = toScratchPlan(saved.definition, earlier.reservationMs);
    if (isSame && plan.kind === KIND.quota) {
      plan.i32[2 * plan.header + LATEST_PERIOD] = saved.latestPeriod;
    }
    if (saved.coarse > 0) markSpilled(plan);
    for (let number = 0; number < saved.count; number++) {
      const from = number * 2 * saved.words;
      const h0 = saved.records[from]!;
      const h1 = saved.records[from + 1]!;
      plan.ticks[NOW] = nowTicks;
      const record =
        number < saved.coarse ? recordAt(plan, h1) : findOrInsert(plan, new NoLocks(), h0, h1, 0);
      const words = saved.records.subarray(from + 2, from + 2 * saved.words);
      // A smaller table may have no record of its own left for this caller; then it joins the others of a coarse one.
      if (isSame && (number < saved.coarse || !isCoarse(plan, record))) {
        plan.i32.set(words, 2 * (record + HEADER_WORDS));
        plan.ticks[NOW] = earlier.nowTicks;
        resume(plan, record, nowTicks - earlier.nowTicks - passedTicks);
      } else {
        old.i32.set(words, 2 * HEADER_WORDS);
        old.ticks[NOW] = earlier.nowTicks + passedTicks;
        carryOver(plan, record, usedIn(old, saved));
      }
    }
    return { name, how: isSame ? "kept" : "carried", keys: saved.count - saved.coarse };
  });
}

/** What became of one limit of a snapshot. `dropped`: no limit has its name any more, or it holds what does not outlive a process. */
export interface RestoredLimit {
  readonly name: string;
  readonly how: "kept" | "carried" | "dropped";
  readonly keys: number;
}

function isOfHolders(kind: LimitDefinition["kind"] | LimitPlan["kind"]): boolean {
  return kind === "concurrency" || kind === KIND.concurrency;
}

/** What must be equal for a record's words to mean the same. */
function numbersOf(definition: LimitDefinition): string {
  const { kind } = definition;
  switch (kind) {
    case "bucket":
      return JSON.stringify([kind, definition.count, definition.seconds, definition.burst]);
    case "window": {
      const shape = toPlanShape(definition, 1);
      return JSON.stringify([shape.kind, shape.capacity, shape.spanTicks]);
    }
    case "quota":
      // A quota's words do not depend on its limit.
      return JSON.stringify([kind, definition.period, definition.timeZone ?? "UTC"]);
    case "concurrency":
      return kind;
  }
}

function resume(plan: LimitPlan, record: number, shiftTicks: number): void {
  switch (plan.kind) {
    case KIND.bucket:
      resumeBucket(plan, record, shiftTicks);
      break;
    case KIND.windowExact:
      resumeWindowExact(plan, record, shiftTicks);
      break;
    case KIND.windowSub:
      resumeWindowSub(plan, record, shiftTicks);
      break;
    case KIND.quota:
    case KIND.concurrency:
      // Periods are named by the wall clock, and holders are not restored.
      break;
  }
}

function carryOver(plan: LimitPlan, record: number, units: number): void {
  if (units > 0) overcharge(plan, record, Math.min(units, plan.capacity));
}

/** Units that the old limit counts at `old.ticks[NOW]`. */
function usedIn(old: LimitPlan, saved: SavedLimit): number {
  if (old.kind !== KIND.quota) return old.capacity - remainingOf(old, 0);
  return periodOfRecord(old, 0) < saved.latestPeriod ? 0 : old.i32[2 * HEADER_WORDS + 1]!;
}

/** A plan of one record and nothing else, to read saved words with. */
function toScratchPlan(definition: LimitDefinition, reservationMs: number): LimitPlan {
  const shape = toPlanShape({ ...definition, shadow: false }, reservationMs);
  const buffer = new ArrayBuffer(8 * shape.recordWords);
  return toPlan(
    { ...shape, header: 0, histogram: 0, heads: 0, firstRecord: 0 },
    {
      ticks: new Float64Array(2),
      i32: new Int32Array(buffer),
      f64: new Float64Array(buffer),
      u8: new Uint8Array(buffer),
      u16: new Uint16Array(buffer),
      calendar: undefined,
    },
  );
}

import { crc32 } from "node:zlib";
import type { LimitDefinition } from "./limit-definition.ts";
import { isIdle, repairRecord } from "./limit-kind.ts";
import {
  HEADER_WORDS,
  KIND,
  LATEST_PERIOD,
  NOW,
  SPILL_RECORDS,
  type LimitPlan,
} from "./limit-plan.ts";
import { recordAt, RECORD_LOCK, usedRecords } from "./limit-table.ts";
import type { LimiterMemory } from "./limiter-memory.ts";
import { LOCK, type RecordLocks } from "./record-lock.ts";

/**
 * What limits somebody, as bytes.
 *
 * Little-endian: magic and version; CRC-32 of all that follows; then, from byte 8, wall-clock milliseconds and monotonic
 * tick of the same instant, the secret of the hash (16 bytes), length of a JSON text, the text padded to 8 bytes, and for each
 * limit in its order the records: identity (8 bytes) and the kind's own words as they are. Coarse records
 * come first and have their number in place of an identity.
 */
const MAGIC = 0x3247_4c54; // "TLG2": the last letter is the version
const WALL_AT = 8;
const TICK_AT = 16;
const SECRET_AT = 24;
const TEXT_LENGTH_AT = 40;
const TEXT_AT = 48;

/** One limit of a snapshot. */
export interface SavedLimit {
  readonly definition: LimitDefinition;
  /** quota: the latest period entered. */
  readonly latestPeriod: number;
  /** Coarse records among the records; they come first. */
  readonly coarse: number;
  /** Number of records. */
  readonly count: number;
  /** 8-byte words of a record here: identity and the kind's own. */
  readonly words: number;
}

export interface Snapshot {
  readonly wallMs: number;
  readonly nowTicks: number;
  readonly secret: Uint8Array;
  readonly reservationMs: number;
  readonly limits: readonly (SavedLimit & { readonly records: Int32Array })[];
}

/** Copies every record that limits somebody, each under its lock. `plan.ticks[NOW]` is the instant. */
export function takeSnapshot(options: {
  readonly memory: LimiterMemory;
  readonly plans: readonly LimitPlan[];
  readonly locks: RecordLocks;
  readonly wallMs: number;
}): Uint8Array {
  const { memory, plans, locks, wallMs } = options;
  const parts = plans.map((plan) => copyRecords(plan, locks));
  const limits = plans.map((plan, index): SavedLimit => {
    const { coarse, words, elements } = parts[index]!;
    return {
      definition: memory.definitions[index]!,
      latestPeriod: plan.i32[2 * plan.header + LATEST_PERIOD]!,
      coarse,
      count: elements.length / (2 * words),
      words,
    };
  });
  const text = new TextEncoder().encode(
    JSON.stringify({ reservationMs: memory.reservationMs, limits }),
  );
  const recordsAt = TEXT_AT + 8 * Math.ceil(text.length / 8);
  const size = parts.reduce((sum, { elements }) => sum + 4 * elements.length, recordsAt);

  const bytes = new Uint8Array(size);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, MAGIC, true);
  view.setFloat64(WALL_AT, wallMs, true);
  view.setFloat64(TICK_AT, plans[0]?.ticks[NOW] ?? 0, true);
  bytes.set(memory.secret, SECRET_AT);
  view.setUint32(TEXT_LENGTH_AT, text.length, true);
  bytes.set(text, TEXT_AT);
  let at = recordsAt;
  for (const { elements } of parts) {
    for (const element of elements) {
      view.setInt32(at, element, true);
      at += 4;
    }
  }
  view.setUint32(4, crc32(bytes.subarray(WALL_AT)), true);
  return bytes;
}

/** @throws {RangeError} when the bytes are no whole snapshot of this version */
export function readSnapshot(bytes: Uint8Array): Snapshot {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < TEXT_AT || view.getUint32(0, true) !== MAGIC) {
    throw new RangeError("Cannot restore a limiter: the bytes are no snapshot of this version");
  }
  if (crc32(bytes.subarray(WALL_AT)) !== view.getUint32(4, true)) {
    throw new RangeError("Cannot restore a limiter: the snapshot is damaged");
  }
  const textLength = view.getUint32(TEXT_LENGTH_AT, true);
  const text = new TextDecoder().decode(bytes.subarray(TEXT_AT, TEXT_AT + textLength));
  const { reservationMs, limits } = JSON.parse(text) as {
    reservationMs: number;
    limits: SavedLimit[];
  };
  let at = TEXT_AT + 8 * Math.ceil(textLength / 8);
  return {
    wallMs: view.getFloat64(WALL_AT, true),
    nowTicks: view.getFloat64(TICK_AT, true),
    secret: Uint8Array.from(bytes.subarray(SECRET_AT, SECRET_AT + 16)),
    reservationMs,
    limits: limits.map((limit) => {
      const records = new Int32Array(2 * limit.words * limit.count);
      for (let index = 0; index < records.length; index++, at += 4) {
        records[index] = view.getInt32(at, true);
      }
      return { ...limit, records };
    }),
  };
}

function copyRecords(plan: LimitPlan, locks: RecordLocks) {
  const kindWords = (plan.meterAt === 0 ? plan.recordWords : plan.meterAt) - HEADER_WORDS;
  const words = 1 + kindWords;
  const elements: number[] = [];
  let coarse = 0;
  // Who holds a slot is gone after a restart.
  const used = plan.kind === KIND.concurrency ? 0 : usedRecords(plan);
  for (let number = 0; number < used; number++) {
    const record = recordAt(plan, number);
    const h0 = plan.i32[2 * record]!;
    const h1 = plan.i32[2 * record + 1]!;
    const isCoarse = number < SPILL_RECORDS;
    if (!isCoarse && (h0 | h1) === 0) continue;
    const lock = locks.take(2 * record + RECORD_LOCK);
    if (lock === LOCK.broken) repairRecord(plan, record);
    // One that cannot be locked is copied as it is: charge-first, so it denies rather than admits.
    if (!isIdle(plan, record)) {
      if (isCoarse) coarse++;
      elements.push(isCoarse ? 0 : h0, isCoarse ? number : h1);
      const from = 2 * (record + HEADER_WORDS);
      for (let at = from; at < from + 2 * kindWords; at++) elements.push(plan.i32[at]!);
    }
    if (lock !== LOCK.missed) locks.release(2 * record + RECORD_LOCK);
  }
  return { coarse, words, elements };
}

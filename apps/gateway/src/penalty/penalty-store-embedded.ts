import type { Clock, Random, Timer } from "@tidegate/clock";
import type { PenaltyKey } from "./penalty-key.ts";
import { PenaltyJournal } from "./penalty-journal.ts";
import { PenaltyLedger, toEntry } from "./penalty-ledger.ts";
import { LONGEST_PENALTY_MS, SUSPENDED, type Penalty } from "./penalty-rules.ts";
import {
  DEFAULT_MAX_PENALTIES,
  MOST_LISTED,
  type PenaltyEntry,
  type PenaltyStore,
  type StrikeResult,
} from "./penalty-store.ts";
import { createPenaltyMemory, PenaltyTable } from "./penalty-table.ts";
import { PenaltyTableWriter } from "./penalty-table-writer.ts";

export interface EmbeddedPenaltyOptions {
  /** SQLite file, or `:memory:`. */
  readonly file: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly maxPenalties?: number;
  /** Told whenever somebody is boxed, as soon as every thread of this node can see it. */
  readonly onShown?: () => void;
  /** Told of each new penalty, once it is written down. */
  readonly onPenalty?: (entry: PenaltyEntry) => void;
  /** Told when what is forgotten could not be removed from the file; nothing else depends on it. */
  readonly onFailure?: (error: Error) => void;
}

/** What means nothing any more leaves so often. Only memory and disk depend on it. */
const SWEEP_INTERVAL_MS = 60_000;
/** A full ledger is looked through at most so often: a flood of new callers must not make it work for each of them. */
const SHORTEST_SWEEP_PAUSE_MS = 1_000;

/**
 * The penalty store of one machine: the ledger on this thread, a table that every thread reads, SQLite for the
 * next start. `memory` is what workers read it by.
 *
 * Its time is the wall time of the start, moved on by the monotonic clock: a step of the wall clock opens no box and
 * closes none.
 */
export class EmbeddedPenalties extends PenaltyTable implements PenaltyStore, Disposable {
  readonly #clock: Clock;
  readonly #journal: PenaltyJournal;
  readonly #ledger: PenaltyLedger;
  readonly #writer: PenaltyTableWriter;
  readonly #onPenalty: EmbeddedPenaltyOptions["onPenalty"];
  readonly #onFailure: ((error: Error) => void) | undefined;
  #sweepTimer: Timer;
  #sweptMs = Number.NEGATIVE_INFINITY;

  /** @throws {Error} when the file cannot be used */
  constructor(options: EmbeddedPenaltyOptions) {
    const { file, clock, random, maxPenalties = DEFAULT_MAX_PENALTIES } = options;
    const journal = new PenaltyJournal(file);
    const rows = journal.load();
    const most = Math.max(maxPenalties, rows.length);
    super(createPenaltyMemory({ maxPenalties: most, secret: random.bytes(32), clock }), clock);
    this.#clock = clock;
    this.#journal = journal;
    this.#onPenalty = options.onPenalty;
    this.#onFailure = options.onFailure;
    this.#ledger = new PenaltyLedger(maxPenalties);
    this.#writer = new PenaltyTableWriter(this.memory, options.onShown);
    for (const { key, penalty } of rows) {
      const restored = notInTheFuture(penalty, clock.wallMs());
      this.#ledger.restore(key, restored);
      this.#writer.put(key, restored);
    }
    this.#sweepTimer = clock.after(SWEEP_INTERVAL_MS, this.#sweep);
  }

  async strike(key: PenaltyKey, reason: string): Promise<StrikeResult> {
    const { nowMs } = this;
    if (this.#ledger.isFullFor(key) && nowMs - this.#sweptMs >= SHORTEST_SWEEP_PAUSE_MS)
      this.#forget();
    const struck = this.#ledger.strike(key, { reason, nowMs, wallMs: this.#clock.wallMs() });
    if (struck.outcome !== "boxed") return struck;
    // Shown before it is written: a full disk must not let an attacker go on.
    for (const { key: changed, penalty } of struck.changes)
      if (penalty === undefined) this.#writer.drop(changed);
      else this.#writer.put(changed, penalty);
    this.#journal.write(struck.changes);
    const entry = toEntry(struck.key, struck.penalty, nowMs);
    this.#onPenalty?.(entry);
    return { outcome: "boxed", entry };
  }

  async lift(key: string): Promise<boolean> {
    if (this.#ledger.get(key) === undefined) return false;
    // Written before it is shown: who was forgiven must not be boxed again by a restart.
    this.#journal.write([{ key, penalty: undefined }]);
    this.#ledger.lift(key);
    this.#writer.drop(key);
    return true;
  }

  /** How many are boxed now, for the metrics. */
  get boxedCallers(): number {
    return this.#ledger.boxedAt(this.nowMs);
  }

  async list(limit: number): Promise<readonly PenaltyEntry[]> {
    return this.#ledger.list(this.nowMs, Math.min(limit, MOST_LISTED));
  }

  [Symbol.dispose](): void {
    this.#sweepTimer.cancel();
    this.#journal[Symbol.dispose]();
  }

  #sweep = (): void => {
    this.#sweepTimer = this.#clock.after(SWEEP_INTERVAL_MS, this.#sweep);
    this.#forget();
  };

  #forget(): void {
    this.#sweptMs = this.nowMs;
    const forgotten = this.#ledger.sweep(this.nowMs, this.#clock.wallMs());
    if (forgotten.length === 0) return;
    for (const key of forgotten) this.#writer.drop(key);
    if (this.#ledger.size === 0) this.#writer.rebuild();
    try {
      this.#journal.write(forgotten.map((key) => ({ key, penalty: undefined })));
    } catch (error) {
      // The file keeps rows that mean nothing; the next start forgets them.
      this.#onFailure?.(error instanceof Error ? error : new Error(String(error)));
    }
  }
}

/** A wall clock that was ahead when this was written down may not make a penalty longer than any can be. */
function notInTheFuture(penalty: Penalty, wallMs: number): Penalty {
  const { untilMs, countedAtMs, startedMs } = penalty;
  return {
    ...penalty,
    untilMs: untilMs === SUSPENDED ? SUSPENDED : Math.min(untilMs, wallMs + LONGEST_PENALTY_MS),
    countedAtMs: Math.min(countedAtMs, wallMs),
    startedMs: Math.min(startedMs, wallMs),
  };
}

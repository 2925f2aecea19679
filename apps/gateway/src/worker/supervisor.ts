import { Worker } from "node:worker_threads";
import type { Clock, Random, Timer } from "@tidegate/clock";
import {
  attachLimiter,
  beginLockOwner,
  createLimiterMemory,
  DEFAULT_RESERVATION_MS,
  endLockOwner,
  type EmbeddedLimiter,
  type LimiterMemory,
  type LockOwner,
} from "@tidegate/limits";
import type { Readiness } from "../admin/readiness.ts";
import { toPortable, type PortableConfig } from "../config/config-functions.ts";
import type { GatewayConfig } from "../config/schema.ts";
import type { Penalties, PenaltyInit } from "../penalty/open-penalties.ts";
import { workerDeaf, workerFailed, workerStarted } from "../record/events.ts";
import type { Log } from "../record/logger.ts";
import type { MetricBlock } from "../record/metric-memory.ts";
import { endSocketsOf } from "../record/metrics.ts";
import { limitDefinitionsOf } from "../route/compile-routes.ts";
import { Bus } from "./bus.ts";
import type { DataThreads } from "./data-threads.ts";
import { CELL, createWorkerCells, type WorkerCells } from "./worker-cells.ts";
import type { WorkerInit } from "./worker-init.ts";

/** A worker whose event loop has not turned for so long is ended: it serves nobody. */
const HEARTBEAT_TIMEOUT_MS = 5_000;
const HEARTBEAT_CHECK_MS = 500;
/** How long a worker may take until it listens. */
const START_DEADLINE_MS = 30_000;
/** How long a worker that was told to stop may take; then its thread is ended. */
const STOP_DEADLINE_MS = 3_000;
/** A worker that lived shorter has probably died of what it was born with: its next start waits. */
const SHORT_LIFE_MS = 10_000;
const FIRST_RESTART_MS = 100;
const LONGEST_RESTART_MS = 10_000;

/** One seat at the port, with the thread that sits there now. */
interface Seat {
  readonly worker: number;
  thread: Worker | undefined;
  bus: Bus | undefined;
  lockOwner: LockOwner | undefined;
  penalties: PenaltyInit | undefined;
  startedMs: number;
  shortLives: number;
  isReady: boolean;
  /** It has asked for all it must know, and is about to listen: what is told from now on it must acknowledge. */
  mayServe: boolean;
  readiness: readonly Readiness[];
  lastBeat: number;
  lastBeatMs: number;
  /** Counters of every life; they never go back. */
  readonly blocks: MetricBlock[];
  restart: Timer | undefined;
}

export interface SupervisorOptions {
  readonly config: GatewayConfig;
  /** How many. */
  readonly workers: number;
  readonly port: number;
  readonly viaName: string;
  /** What workers may ask of other parts, and how those tell them. */
  readonly dataThreads: DataThreads;
  /** Issuers of the users files, by name. */
  readonly passwordIssuers: Readonly<Record<string, string>>;
  /** What limits had spent when the gateway last stopped. */
  readonly limitSnapshot: Uint8Array | undefined;
  readonly penalties?: Penalties | undefined;
  /** Takes lines of workers. */
  readonly log: Log;
  readonly clock: Clock;
  readonly random: Random;
  /** Told about every worker thread as it starts; for debuggers and tests. */
  readonly observeThread?: ((thread: Worker, worker: number) => void) | undefined;
  /** The file that a worker runs; tests have others. */
  readonly entry?: URL;
}

/**
 * Starts the workers, looks after them, and starts a new one where one died: its locks are broken, its counts
 * cleared, its port's place taken again within a second.
 */
export class Supervisor implements AsyncDisposable {
  readonly #options: SupervisorOptions;
  readonly #entry: URL;
  readonly #portable: PortableConfig;
  readonly #cells: WorkerCells;
  readonly #limiterMemory: LimiterMemory | undefined;
  /** This thread's own view of the limits, for statistics and the snapshot. */
  readonly limits: EmbeddedLimiter | undefined;
  readonly #seats: readonly Seat[];
  #lives = 0;
  #isStopping = false;
  #check: Timer | undefined;

  constructor(options: SupervisorOptions) {
    const { config, workers, random, clock, limitSnapshot, dataThreads } = options;
    this.#options = options;
    dataThreads.tellWorkers = this.#tellOrEnd;
    this.#entry = options.entry ?? new URL("./worker-thread.ts", import.meta.url);
    this.#portable = toPortable(config);
    this.#cells = createWorkerCells(workers);
    const definitions = limitDefinitionsOf(config);
    this.#limiterMemory =
      definitions.length === 0
        ? undefined
        : createLimiterMemory({
            definitions,
            random,
            threads: workers,
            reservationMs: DEFAULT_RESERVATION_MS,
            snapshot: limitSnapshot === undefined ? undefined : { bytes: limitSnapshot, clock },
          });
    const memory = this.#limiterMemory;
    if (memory !== undefined)
      this.limits = attachLimiter({
        memory,
        lockOwner: beginLockOwner(memory, workers + 1),
        clock,
      });
    this.#seats = Array.from({ length: workers }, (_, worker) => createSeat(worker));
  }

  /** Resolves when every worker listens. @throws {Error} when one cannot */
  async start(): Promise<void> {
    await Promise.all(this.#seats.map((seat) => this.#begin(seat)));
    this.#check = this.#options.clock.after(HEARTBEAT_CHECK_MS, this.#checkBeats);
  }

  get requestsInFlight(): number {
    return this.#cells.sum(CELL.inFlight);
  }

  get connections(): number {
    return this.#cells.sum(CELL.connections);
  }

  get droppedLines(): number {
    return this.#cells.sum(CELL.droppedLines);
  }

  get blocks(): readonly MetricBlock[] {
    return this.#seats.flatMap((seat) => seat.blocks);
  }

  /** A part is ready when it is so in every worker; workers are parts themselves. */
  readiness(): readonly Readiness[] {
    const down = this.#seats.filter((seat) => !seat.isReady).length;
    const parts = new Map<string, Readiness>();
    for (const part of this.#seats.flatMap((seat) => seat.readiness))
      if (parts.get(part.name)?.isReady !== false) parts.set(part.name, part);
    const workers = {
      name: "workers",
      isReady: down === 0,
      detail: `${this.#seats.length - down} of ${this.#seats.length} listen`,
    };
    return [workers, ...parts.values()];
  }

  /** Tells every worker for what may be late; resolves when all have acknowledged, or at the deadline. */
  async tell(kind: string, payload: unknown, deadlineMs: number): Promise<void> {
    const buses = this.#seats.flatMap(({ bus }) => bus ?? []);
    await Promise.allSettled(buses.map((bus) => bus.ask(kind, payload, deadlineMs)));
  }

  /** As `Tell`. A worker that is still starting gets it too, before it may serve: messages keep their order. */
  #tellOrEnd = async (kind: string, payload: unknown, deadlineMs: number): Promise<void> => {
    const told = this.#seats.map(async ({ worker, bus, thread, mayServe }) => {
      if (bus === undefined || thread === undefined) return;
      try {
        const acknowledged = bus.ask(kind, payload, deadlineMs);
        if (mayServe) await acknowledged;
        // What it does not know yet, it asks for.
        else acknowledged.catch(() => undefined);
      } catch (error) {
        workerDeaf(this.#options.log, { worker, kind, error: toError(error) });
        await thread.terminate();
      }
    });
    await Promise.all(told);
  };

  /** Nothing new is taken. Resolves when everything that ran has ended, or at the deadline. */
  async drain(deadlineMs: number): Promise<void> {
    this.#isStopping = true;
    this.#check?.cancel();
    for (const seat of this.#seats) seat.restart?.cancel();
    await this.tell("drain", undefined, deadlineMs);
  }

  /** Ends every worker. @returns what was still running */
  async stop(): Promise<{ requestsCut: number; socketsCut: number }> {
    this.#isStopping = true;
    this.#check?.cancel();
    const cut = { requestsCut: 0, socketsCut: 0 };
    const stopped = this.#seats.map(async (seat) => {
      seat.restart?.cancel();
      const { thread, bus } = seat;
      if (thread === undefined) return;
      try {
        const mine = (await bus?.ask("stop", undefined, STOP_DEADLINE_MS)) as typeof cut;
        cut.requestsCut += mine.requestsCut;
        cut.socketsCut += mine.socketsCut;
      } catch {
        // It does not answer any more; ending the thread is all that is left.
      }
      await thread.terminate();
    });
    await Promise.all(stopped);
    return cut;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  #begin(seat: Seat): Promise<void> {
    const { port, viaName, clock, log, penalties, dataThreads } = this.#options;
    const life = ++this.#lives;
    const memory = this.#limiterMemory;
    const lockOwner = memory === undefined ? undefined : beginLockOwner(memory, seat.worker + 1);
    seat.lockOwner = lockOwner;
    seat.penalties = penalties?.begin(seat.worker);
    const workerData: WorkerInit = {
      config: this.#portable,
      worker: seat.worker,
      workers: this.#seats.length,
      life,
      port,
      viaName,
      cells: this.#cells.buffer,
      limits: memory === undefined || lockOwner === undefined ? undefined : { memory, lockOwner },
      penalties: seat.penalties,
      passwordIssuers: this.#options.passwordIssuers,
    };
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const thread = new Worker(this.#entry, { workerData, name: `worker-${seat.worker}` });
    const late = clock.after(START_DEADLINE_MS, () => {
      reject(new Error(`Cannot start worker ${seat.worker}: not ready in ${START_DEADLINE_MS} ms`));
      void thread.terminate();
    });
    this.#options.observeThread?.(thread, seat.worker);
    let failure: Error | undefined;
    seat.thread = thread;
    seat.startedMs = clock.monotonicMs();
    seat.bus = new Bus(thread, clock, {
      ...dataThreads.answers,
      "may-serve": () => void (seat.mayServe = true),
      ready: () => {
        late.cancel();
        seat.isReady = true;
        this.#beatSeen(seat);
        workerStarted(log, { worker: seat.worker, life });
        resolve();
      },
      log: (chunk) => log.line(Buffer.from(chunk as Uint8Array).toString("utf8")),
      "metric-blocks": (blocks) => void seat.blocks.push(...(blocks as MetricBlock[])),
      readiness: (parts) => void (seat.readiness = parts as readonly Readiness[]),
    });
    thread.on("error", (error) => {
      failure = toError(error);
    });
    thread.on("exit", (code) => {
      late.cancel();
      this.#ended(seat);
      const error = failure ?? new Error(`The thread ended with ${code}`);
      reject(error);
      if (this.#isStopping) return;
      workerFailed(log, { worker: seat.worker, life, error });
      if (this.#check !== undefined) this.#beginAgain(seat);
    });
    return promise;
  }

  #ended(seat: Seat): void {
    const memory = this.#limiterMemory;
    if (memory !== undefined && seat.lockOwner !== undefined) {
      endLockOwner(memory, seat.lockOwner);
      // What ran there ended with it; without this its slots would come free only when they expire.
      this.limits?.reclaimHeld(seat.lockOwner, this.#options.clock.monotonicMs());
    }
    seat.lockOwner = undefined;
    if (seat.penalties !== undefined) this.#options.penalties?.end(seat.penalties);
    seat.penalties = undefined;
    seat.thread = undefined;
    seat.bus = undefined;
    seat.isReady = false;
    seat.mayServe = false;
    seat.readiness = [];
    this.#cells.clear(seat.worker);
    endSocketsOf(seat.blocks);
  }

  #beginAgain(seat: Seat): void {
    const { clock } = this.#options;
    const livedMs = clock.monotonicMs() - seat.startedMs;
    seat.shortLives = livedMs < SHORT_LIFE_MS ? seat.shortLives + 1 : 0;
    const waitMs = Math.min(
      FIRST_RESTART_MS * 2 ** Math.max(0, seat.shortLives - 1),
      LONGEST_RESTART_MS,
    );
    // Its failure is told where the thread's end is; nobody waits for this promise.
    seat.restart = clock.after(waitMs, () => void this.#begin(seat).catch(() => undefined));
  }

  #checkBeats = (): void => {
    const nowMs = this.#options.clock.monotonicMs();
    for (const seat of this.#seats) {
      if (!seat.isReady) continue;
      if (this.#cells.get(seat.worker, CELL.heartbeat) !== seat.lastBeat) this.#beatSeen(seat);
      else if (nowMs - seat.lastBeatMs > HEARTBEAT_TIMEOUT_MS) void seat.thread?.terminate();
    }
    this.#check = this.#options.clock.after(HEARTBEAT_CHECK_MS, this.#checkBeats);
  };

  #beatSeen(seat: Seat): void {
    seat.lastBeat = this.#cells.get(seat.worker, CELL.heartbeat);
    seat.lastBeatMs = this.#options.clock.monotonicMs();
  }
}

function createSeat(worker: number): Seat {
  return {
    worker,
    thread: undefined,
    bus: undefined,
    lockOwner: undefined,
    penalties: undefined,
    startedMs: 0,
    shortLives: 0,
    isReady: false,
    mayServe: false,
    readiness: [],
    lastBeat: 0,
    lastBeatMs: 0,
    blocks: [],
    restart: undefined,
  };
}

function toError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}

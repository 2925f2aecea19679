import assert from "node:assert/strict";
import type { Clock, Random, Timer } from "@tidegate/clock";
import { Breaker } from "./breaker.ts";
import {
  StoreLost,
  type LimitAnswer,
  type LimitAsk,
  type LimitStore,
  type StoreState,
  type StoreStatistics,
} from "./limit-store.ts";
import { connectRedis, type RedisConnection } from "./redis-connection.ts";
import {
  epochKey,
  LIMIT_SCRIPT,
  LIMIT_SCRIPT_SHA,
  parseScriptReply,
  toScriptArguments,
  type ScriptCaller,
} from "./script-call.ts";

export interface RedisStoreOptions {
  readonly url: string;
  readonly clock: Clock;
  readonly random: Random;
  /** Random, of this process (or thread) and this start of it: leases of an earlier life are not ours. */
  readonly node: string;
  /** First part of every key. */
  readonly prefix: string;
  /** `learn`: an empty server may have lost what it knew, so nothing is granted until that is over. `grant`: at once. */
  readonly whenEmpty: "learn" | "grant";
  /** `learn`: a restarted server may have lost its last writes. `trust`: it keeps every acknowledged one (`appendfsync always`). */
  readonly whenRestarted: "learn" | "trust";
  readonly stateChanged?: (state: StoreState, reason: string) => void;
}

/** How often the connection and the breaker are looked at, and the server's clock is read. */
const WATCH_MS = 50;
const PROBE_BUDGET_MS = 250;
const CLOCK_READ_MS = 1_000;
/** A connection on which nothing was answered for this long is replaced: a frozen server never closes it. */
const SILENT_MS = 3_000;

/** The counts in Redis: one script, a breaker, and no memory of its own. */
export class RedisStore implements LimitStore {
  readonly #options: RedisStoreOptions;
  readonly #clock: Clock;
  readonly #connection: RedisConnection;
  readonly #breaker: Breaker;
  #runId: string | undefined;
  #state: StoreState = "connecting";
  #lastError = "not connected yet";
  #isProbing = false;
  #reload: Promise<void> | undefined;
  #timer: Timer | undefined;
  #answeredAtMs: number;
  #clockReadAtMs = Number.NEGATIVE_INFINITY;
  /** The server's wall clock less our monotonic one. */
  #offsetMs: number;
  /** Epoch of each tag as last seen; another one says that the server's run may have changed behind a proxy. At most `TAGS`. */
  readonly #epochs = new Map<number, string>();
  readonly #counts = { asked: 0, timedOut: 0, failed: 0, reloaded: 0, losses: 0 };

  constructor(options: RedisStoreOptions) {
    this.#options = options;
    this.#clock = options.clock;
    const jitter = (): number => options.random.unit();
    this.#breaker = new Breaker(jitter);
    this.#answeredAtMs = this.#clock.monotonicMs();
    this.#offsetMs = this.#clock.wallMs() - this.#clock.monotonicMs();
    this.#connection = connectRedis({
      url: options.url,
      jitter,
      events: {
        connected: () => void this.#begin(),
        lost: (error) => {
          this.#runId = undefined;
          this.#breaker.trip(this.#clock.monotonicMs());
          this.#enter("lost", error?.message ?? "the connection was closed");
        },
      },
    });
    this.#timer = this.#clock.after(WATCH_MS, this.#watch);
  }

  get isUp(): boolean {
    return this.#state === "up";
  }

  wallMs(): number {
    return this.#clock.monotonicMs() + this.#offsetMs;
  }

  statistics(): StoreStatistics {
    return { state: this.#state, ...this.#counts };
  }

  async ask(tag: number, asks: readonly LimitAsk[], budgetMs: number): Promise<LimitAnswer> {
    const runId = this.#runId;
    if (runId === undefined) throw this.#lost(this.#lastError);
    const caller: ScriptCaller = {
      runId,
      freshEpoch: this.#options.random.bytes(12).toString("base64url"),
      grantsWhenEmpty: this.#options.whenEmpty === "grant",
      trustsRestart: this.#options.whenRestarted === "trust",
      node: this.#options.node,
    };
    const args = toScriptArguments(caller, epochKey(this.#options.prefix, tag), asks);
    const answer = parseScriptReply(
      await this.#within(this.#evaluate(args), budgetMs),
      asks.length,
    );
    const seen = this.#epochs.get(tag);
    this.#epochs.set(tag, answer.epoch);
    // A proxy hides that the server behind it was restarted; then our run id is an old one, and others begin new epochs.
    if (seen !== undefined && seen !== answer.epoch) void this.#readRun();
    return answer;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#timer?.cancel();
    this.#timer = undefined;
    await this.#connection[Symbol.asyncDispose]();
  }

  /** EVALSHA; where the server has forgotten the script, this one call loads it and asks again: it was not executed. */
  async #evaluate(args: readonly string[]): Promise<unknown> {
    this.#counts.asked++;
    try {
      return await this.#connection.command(["EVALSHA", LIMIT_SCRIPT_SHA, ...args]);
    } catch (error) {
      if (!String(error).includes("NOSCRIPT")) throw error;
      this.#reload ??= this.#load();
      await this.#reload;
      return await this.#connection.command(["EVALSHA", LIMIT_SCRIPT_SHA, ...args]);
    }
  }

  async #load(): Promise<void> {
    try {
      this.#counts.reloaded++;
      const sha = await this.#connection.command(["SCRIPT", "LOAD", LIMIT_SCRIPT]);
      assert.equal(sha, LIMIT_SCRIPT_SHA, "the server names the script otherwise");
    } finally {
      this.#reload = undefined;
    }
  }

  /** The answer, or `StoreLost` when the budget is over first; then it is not waited for and its failure is nobody's. */
  #within<T>(answer: Promise<T>, budgetMs: number): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      let isOver = false;
      const timer = this.#clock.after(budgetMs, () => {
        isOver = true;
        this.#counts.timedOut++;
        reject(this.#fail(`no answer within ${budgetMs} ms`));
      });
      answer.then(
        (value) => {
          this.#answeredAtMs = this.#clock.monotonicMs();
          timer.cancel();
          if (isOver) return;
          this.#breaker.succeed();
          // Whatever was answered in time closes the breaker, so it ends the loss too; else nobody would probe any more.
          if (this.#state === "lost" && this.#runId !== undefined) this.#enter("up", "answered");
          resolve(value);
        },
        (error: unknown) => {
          timer.cancel();
          if (isOver) return;
          this.#counts.failed++;
          reject(this.#fail(error instanceof Error ? error.message : String(error)));
        },
      );
    });
  }

  #fail(reason: string): StoreLost {
    if (this.#breaker.fail(this.#clock.monotonicMs())) this.#enter("lost", reason);
    return this.#lost(reason);
  }

  #lost(reason: string): StoreLost {
    return new StoreLost(`Cannot ask the limit store: ${reason}`);
  }

  /** After each new connection, before anything else is asked on it. */
  async #begin(): Promise<void> {
    if (!(await this.#readRun())) {
      if (this.#timer === undefined) return;
      // Only an open breaker is probed: without this a server that was slow just once, at the start, would never be asked again.
      this.#breaker.trip(this.#clock.monotonicMs());
      this.#enter("lost", "the first question on a new connection got no answer");
      return;
    }
    await this.#readClock();
    this.#breaker.succeed();
    if (this.#runId !== undefined) this.#enter("up", "connected");
  }

  async #readRun(): Promise<boolean> {
    try {
      const info = await this.#within(
        this.#connection.command(["INFO", "server"]),
        PROBE_BUDGET_MS,
      );
      this.#runId = /^run_id:(\S+)/m.exec(String(info))?.[1];
      return this.#runId !== undefined;
    } catch (error) {
      if (error instanceof StoreLost) return false;
      throw error;
    }
  }

  async #readClock(): Promise<void> {
    const sentMs = this.#clock.monotonicMs();
    this.#clockReadAtMs = sentMs;
    try {
      const time = await this.#within(this.#connection.command(["TIME"]), PROBE_BUDGET_MS);
      const [seconds, microseconds] = (time as string[]).map(Number) as [number, number];
      // Read at some moment between sending and now; the later guess would enter a period early.
      this.#offsetMs = seconds * 1000 + microseconds / 1000 - this.#clock.monotonicMs();
    } catch (error) {
      if (!(error instanceof StoreLost)) throw error;
    }
  }

  #watch = (): void => {
    this.#timer = this.#clock.after(WATCH_MS, this.#watch);
    const nowMs = this.#clock.monotonicMs();
    if (this.#breaker.isOpen) {
      if (nowMs - this.#answeredAtMs > SILENT_MS && this.#state !== "connecting") {
        this.#answeredAtMs = nowMs;
        this.#connection.reset();
      } else if (this.#breaker.mayProbe(nowMs) && !this.#isProbing) {
        this.#isProbing = true;
        void this.#begin().finally(() => (this.#isProbing = false));
      }
    } else if (this.isUp && nowMs - this.#clockReadAtMs > CLOCK_READ_MS) {
      void this.#readClock();
    }
  };

  #enter(state: StoreState, reason: string): void {
    this.#lastError = reason;
    if (state === this.#state) return;
    if (state === "lost") this.#counts.losses++;
    this.#state = state;
    this.#options.stateChanged?.(state, reason);
  }
}

import { connectRedis, type RedisConnection } from "@tidegate/limits/redis";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Clock, Random, Timer } from "@tidegate/clock";
import type { PenaltyKey } from "./penalty-key.ts";
import { PenaltyLedger, toEntry } from "./penalty-ledger.ts";
import {
  isLater,
  parsePenalty,
  parseReply,
  parseStream,
  shiftPenalty,
  type PenaltyNews,
} from "./penalty-news.ts";
import { isBoxed, SUSPENDED, type Penalty } from "./penalty-rules.ts";
import {
  DEFAULT_MAX_PENALTIES,
  MOST_LISTED,
  MOST_REASON_CHARACTERS,
  type PenaltyEntry,
  type PenaltyStore,
  type StrikeResult,
} from "./penalty-store.ts";
import { createPenaltyMemory, PenaltyTable } from "./penalty-table.ts";
import { PenaltyTableWriter } from "./penalty-table-writer.ts";

/** Commands that wait for a reply; more fail at once. Strikes are rare; so many would be an attack in itself. */
const MOST_COMMANDS_UNDER_WAY = 1_024;

export interface RedisPenaltyOptions {
  readonly url: string;
  /** First part of every key; nodes with the same one share penalties. */
  readonly prefix: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly maxPenalties?: number;
  /** Told whenever somebody is boxed, as soon as every thread of this node can see it. */
  readonly onShown?: () => void;
  /** Told of each new penalty that this node gave. */
  readonly onPenalty?: (entry: PenaltyEntry) => void;
  /** Told once per loss of the server, and when news could not be read. */
  readonly onFailure?: (error: Error) => void;
  /** Time of the server, for tests; else it is the server's own. */
  readonly serverMs?: () => number;
}

const SCRIPT = readFileSync(join(import.meta.dirname, "penalty-script.lua"), "utf8");
const SCRIPT_SHA = createHash("sha1").update(SCRIPT).digest("hex");

/** How long the server may wait for news before it says that there is none. */
const BLOCK_MS = 500;
const NEWS_AT_ONCE = 1_000;
/** A server that said nothing for so long is frozen, or behind a connection that is gone: another one is opened. */
const SILENT_MS = 3_000;
/** A node that heard nothing for so long may not know of a penalty given elsewhere. */
const DEAF_MS = 5_000;
const WATCH_MS = 500;
const SWEEP_INTERVAL_MS = 60_000;
const STRIKE_BUDGET_MS = 1_000;
/** More keys than nodes may know of at once: those that only this node knows, while the server is away. */
const LOCAL_ROOM = 2;

/**
 * The penalties that many nodes share. The server decides (one script, its own time); every node keeps a copy of all
 * of them in a table as the embedded store does, so asking costs no round trip. A stream tells what changed: a node reads
 * it waiting, so it knows within milliseconds, and reads everything anew after each lost connection.
 *
 * Without the server a strike boxes on this node alone and is handed in when the server is back; nobody comes out
 * early. A server that lost its data gets it back from any node that still knows.
 */
export class RedisPenalties extends PenaltyTable implements PenaltyStore, AsyncDisposable {
  readonly #options: RedisPenaltyOptions;
  readonly #clock: Clock;
  readonly #keys: readonly string[];
  readonly #lifeKey: string;
  readonly #most: readonly [string, string, string];
  readonly #ledger: PenaltyLedger;
  readonly #writer: PenaltyTableWriter;
  readonly #asking: RedisConnection;
  readonly #listening: RedisConnection;
  /** Changes of ours that the stream has not shown us yet, with their ids; emptied as it does. */
  readonly #ahead = new Map<string, string>();
  /** Keys that the server does not know of, because it was away; at most as many as the ledger holds. */
  readonly #unshared = new Set<string>();
  /** Whether everything has been read at least once since the connection began. */
  #isCurrent = false;
  #becameCurrent: (() => void) | undefined;
  #heardMs: number;
  #sweptMs = 0;
  /** Id of the news that was read last. */
  #last = "0-0";
  /** Rises with each connection, so that a loop over an older one ends. */
  #connection = 0;
  #life = "";
  #isClosed = false;
  #hasFailed = false;
  #watch: Timer;

  constructor(options: RedisPenaltyOptions) {
    const { clock, random, prefix, url } = options;
    const most = options.maxPenalties ?? DEFAULT_MAX_PENALTIES;
    const secret = random.bytes(32);
    super(createPenaltyMemory({ maxPenalties: most * LOCAL_ROOM, secret, clock }), clock);
    this.#options = options;
    this.#clock = clock;
    const key = (name: string): string => `${prefix}:{penalty}:${name}`;
    this.#keys = ["known", "news", "addresses", "networks", "proven"].map(key);
    this.#lifeKey = key("life");
    this.#most = PenaltyLedger.shares(most).map(String) as [string, string, string];
    this.#ledger = new PenaltyLedger(most * LOCAL_ROOM);
    this.#writer = new PenaltyTableWriter(this.memory, options.onShown);
    this.#heardMs = clock.monotonicMs();
    const jitter = (): number => random.unit();
    const connection = { url, jitter, mostCommandsUnderWay: MOST_COMMANDS_UNDER_WAY };
    this.#asking = connectRedis(connection);
    this.#listening = connectRedis({ ...connection, events: { connected: () => this.#begin() } });
    this.#watch = clock.after(WATCH_MS, this.#check);
  }

  /** Whether this node knows of every penalty given until a moment ago. */
  get isCurrent(): boolean {
    return this.#isCurrent && this.#clock.monotonicMs() - this.#heardMs < DEAF_MS;
  }

  /** Resolves when this node knows of every penalty, or at the deadline. */
  async whenCurrent(deadlineMs: number): Promise<void> {
    if (this.isCurrent) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#becameCurrent = resolve;
    const timer = this.#clock.after(deadlineMs, resolve);
    await promise;
    timer.cancel();
  }

  async strike(key: PenaltyKey, reason: string): Promise<StrikeResult> {
    const { kind, narrow, wide } = key;
    const kept = reason.slice(0, MOST_REASON_CHARACTERS);
    let reply: ReturnType<typeof parseReply>;
    try {
      reply = await this.#change(["strike", this.#time, kind, narrow, wide, kept, ...this.#most]);
    } catch (cause) {
      this.#strikeHere(key, kept);
      throw new Error(`Cannot share a penalty: ${String(cause)}`, { cause });
    }
    const [boxed] = reply.news;
    if (reply.outcome === "full") return { outcome: "full" };
    if (boxed?.penalty === undefined) return { outcome: "already-boxed" };
    const local = this.#toLocal(boxed);
    const entry = toEntry(boxed.key, local as Penalty, this.nowMs);
    this.#options.onPenalty?.(entry);
    return { outcome: "boxed", entry };
  }

  async lift(key: string): Promise<boolean> {
    const { outcome } = await this.#change(["lift", this.#time, key]);
    if (outcome === "lifted") return true;
    // Only this node knew.
    this.#unshared.delete(key);
    return this.#forget(key);
  }

  /** How many are boxed now, for the metrics. */
  get boxedCallers(): number {
    return this.#ledger.boxedAt(this.nowMs);
  }

  async list(limit: number): Promise<readonly PenaltyEntry[]> {
    return this.#ledger.list(this.nowMs, Math.min(limit, MOST_LISTED));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true;
    this.#watch.cancel();
    await this.#listening[Symbol.asyncDispose]();
    await this.#asking[Symbol.asyncDispose]();
  }

  /** Runs the script, and shows here what it changed before anybody else is told. */
  async #change(
    args: readonly string[],
    connection = this.#asking,
  ): Promise<ReturnType<typeof parseReply>> {
    const { promise: late, reject } = Promise.withResolvers<never>();
    const timer = this.#clock.after(STRIKE_BUDGET_MS, () =>
      reject(new Error(`no answer within ${STRIKE_BUDGET_MS} ms`)),
    );
    try {
      const reply = parseReply(await Promise.race([run(connection, this.#keys, args), late]));
      for (const news of reply.news) {
        // The stream may have been faster, and may have told of later changes too.
        if (!isLater(news.id, this.#last)) continue;
        this.#ahead.set(news.key, news.id);
        this.#unshared.delete(news.key);
        this.#apply(news);
      }
      return reply;
    } finally {
      timer.cancel();
    }
  }

  #strikeHere(key: PenaltyKey, reason: string): void {
    const { nowMs } = this;
    const struck = this.#ledger.strike(key, { reason, nowMs, wallMs: this.#clock.wallMs() });
    if (struck.outcome !== "boxed") return;
    for (const { key: changed, penalty } of struck.changes)
      if (penalty === undefined) this.#writer.drop(changed);
      else this.#writer.put(changed, penalty);
    this.#unshared.add(struck.key);
  }

  /** A connection is there: read everything, then what changes. */
  #begin(): void {
    const connection = ++this.#connection;
    this.#isCurrent = false;
    this.#heardMs = this.#clock.monotonicMs();
    this.#listen(connection).catch((error: unknown) => {
      if (this.#isClosed || connection !== this.#connection) return;
      this.#isCurrent = false;
      this.#fail(error);
      // The connection may be well and the answer wrong (a server that still loads, a key of another type).
      this.#clock.after(WATCH_MS, () => {
        if (!this.#isClosed && connection === this.#connection) this.#begin();
      });
    });
  }

  async #listen(connection: number): Promise<void> {
    await this.#readAll();
    this.#hasFailed = false;
    this.#isCurrent = true;
    this.#becameCurrent?.();
    while (!this.#isClosed && connection === this.#connection) {
      const news = parseStream(
        await this.#listening.command([
          "XREAD",
          "COUNT",
          String(NEWS_AT_ONCE),
          "BLOCK",
          String(BLOCK_MS),
          "STREAMS",
          this.#keys[1] as string,
          this.#last,
        ]),
      );
      this.#heardMs = this.#clock.monotonicMs();
      for (const entry of news) {
        this.#last = entry.id;
        this.#hear(entry);
      }
    }
  }

  async #readAll(): Promise<void> {
    const ask = (...args: readonly string[]): Promise<unknown> => this.#listening.command(args);
    const [known, news] = this.#keys as [string, string];
    const ours = this.#options.random.bytes(12).toString("hex");
    const life = ((await ask("SET", this.#lifeKey, ours, "NX", "GET")) as string | null) ?? ours;
    this.#ahead.clear();
    // The position first: what changes while we read comes twice rather than never.
    const [newest] = (await ask("XREVRANGE", news, "+", "-", "COUNT", "1")) as [string][];
    const last = newest?.[0] ?? "0-0";
    const [seconds, micros] = (await ask("TIME")) as [string, string];
    const toldMs =
      this.#options.serverMs?.() ?? Number(seconds) * 1_000 + Math.floor(Number(micros) / 1_000);
    const seen = new Set<string>();
    let cursor = "0";
    do {
      const [next, found] = (await ask("HSCAN", known, cursor, "COUNT", "1000")) as [
        string,
        string[],
      ];
      cursor = next;
      for (let at = 0; at + 1 < found.length; at += 2) {
        const key = found[at] as string;
        const penalty = parsePenalty(found[at + 1] as string);
        seen.add(key);
        // What changed since by our own doing is later than what was read.
        if (penalty !== undefined && !this.#ahead.has(key))
          this.#apply({ id: last, key, penalty, toldMs });
      }
    } while (cursor !== "0");
    const hasLostData = this.#life !== "" && this.#life !== life;
    this.#last = last;
    await this.#handIn(seen, hasLostData);
    // Only now: when handing in fails, it is still owed at the next try.
    this.#life = life;
    this.#heardMs = this.#clock.monotonicMs();
  }

  /** What this node knows and the server does not: given to it when it never had it, else forgotten here too. */
  async #handIn(seen: ReadonlySet<string>, hasLostData: boolean): Promise<void> {
    for (const [key, penalty] of this.#ledger.entries()) {
      if (this.#ahead.has(key) || (seen.has(key) && !this.#unshared.has(key))) continue;
      const { nowMs } = this;
      const isOwed = hasLostData || this.#unshared.has(key);
      if (!isOwed || !isBoxed(penalty, nowMs)) {
        this.#unshared.delete(key);
        // Strikes and sign-ins that are owed stay known here while the server has lost them.
        if (!isOwed) this.#forget(key);
        continue;
      }
      const { kind, strikes, countedAtMs, untilMs, startedMs, reason } = penalty;
      const whole = (ms: number): string => String(Math.max(0, Math.round(ms)));
      const restore = [
        "restore",
        this.#time,
        key,
        kind,
        String(strikes),
        whole(nowMs - countedAtMs),
        untilMs === SUSPENDED ? "never" : whole(untilMs - nowMs),
        whole(this.#clock.wallMs() - startedMs),
        reason,
      ];
      // Over the connection that is there: the other one may need a moment more.
      await this.#change(restore, this.#listening);
      this.#unshared.delete(key);
    }
  }

  #hear(news: PenaltyNews): void {
    const shown = this.#ahead.get(news.key);
    if (shown !== undefined) {
      if (!isLater(shown, news.id)) this.#ahead.delete(news.key);
      // Ours was later, or is this one: it has been shown already.
      if (!isLater(news.id, shown)) return;
    }
    this.#unshared.delete(news.key);
    this.#apply(news);
  }

  #apply(news: PenaltyNews): void {
    const penalty = this.#toLocal(news);
    if (penalty === undefined) {
      this.#forget(news.key);
      return;
    }
    const known = this.#ledger.get(news.key);
    // What is known is not shown anew: the time it took to hear of it would be added to the penalty.
    if (known?.startedMs === penalty.startedMs && known.strikes === penalty.strikes) return;
    this.#ledger.restore(news.key, penalty);
    // Only when other nodes were given room for more than this one.
    if (!this.#writer.put(news.key, penalty)) this.#fail(new Error("the table is full"));
  }

  #toLocal({ penalty, toldMs }: PenaltyNews): Penalty | undefined {
    return penalty === undefined ? undefined : shiftPenalty(penalty, this.nowMs - toldMs);
  }

  #forget(key: string): boolean {
    if (!this.#ledger.lift(key)) return false;
    this.#writer.drop(key);
    return true;
  }

  get #time(): string {
    const { serverMs } = this.#options;
    return serverMs === undefined ? "" : String(serverMs());
  }

  #fail(error: unknown): void {
    if (this.#hasFailed) return;
    this.#hasFailed = true;
    this.#options.onFailure?.(error instanceof Error ? error : new Error(String(error)));
  }

  #check = (): void => {
    this.#watch = this.#clock.after(WATCH_MS, this.#check);
    const nowMs = this.#clock.monotonicMs();
    if (nowMs - this.#heardMs >= SILENT_MS) {
      this.#fail(new Error(`Redis said nothing for ${SILENT_MS} ms`));
      this.#heardMs = nowMs;
      this.#isCurrent = false;
      this.#listening.reset();
      this.#asking.reset();
    }
    if (nowMs - this.#sweptMs < SWEEP_INTERVAL_MS) return;
    this.#sweptMs = nowMs;
    for (const key of this.#ledger.sweep(this.nowMs, this.#clock.wallMs())) this.#writer.drop(key);
    if (this.#ledger.size === 0) this.#writer.rebuild();
  };
}

async function run(
  connection: RedisConnection,
  keys: readonly string[],
  args: readonly string[],
): Promise<unknown> {
  const rest = [String(keys.length), ...keys, ...args];
  try {
    return await connection.command(["EVALSHA", SCRIPT_SHA, ...rest]);
  } catch (error) {
    if (!String(error).includes("NOSCRIPT")) throw error;
    return await connection.command(["EVAL", SCRIPT, ...rest]);
  }
}

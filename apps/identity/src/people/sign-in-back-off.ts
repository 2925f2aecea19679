import { createHash } from "node:crypto";
import type { Clock } from "@tidegate/clock";
import type { Database } from "@tidegate/service-kit";
import type { Kysely } from "kysely";
import type { PeopleTables } from "./people-schema.ts";

/** Who tries to sign in as whom. */
export interface Attempt {
  /** The person's id, or the text typed where it names nobody. */
  readonly account: string;
  /** The address, or the prefix of an IPv6 one. */
  readonly network: string;
  /** A token of a browser that this person has signed in with before. */
  readonly knownDevice: string | undefined;
}

export type Admission =
  | { readonly isAdmitted: false; readonly retryAfterMs: number }
  | {
      readonly isAdmitted: true;
      /** The password was right. */
      succeeded(): Promise<void>;
      /** Nothing was tried after all. */
      takeBack(): Promise<void>;
    };

/**
 * Slows down guessing at passwords (ASVS 6.3.1) without a lock that others could turn: failures are counted per
 * (network, account) and per network, never per account alone, so whoever guesses badly in somebody's name delays
 * nobody but their own network. A browser that the person has signed in with before is counted by itself alone (OWASP,
 * "Slow Down Online Guessing Attacks with Device Cookies"): it is let in even where its own network misbehaves.
 *
 * Counted on disk before the hash is made and taken back when the password was right: a thousand guesses at once are
 * not a thousand free ones, and neither a restart nor a crash forgives them.
 */
export class SignInBackOff {
  readonly #database: Database<PeopleTables>;
  readonly #clock: Clock;
  readonly #maxRows: number;
  /** Rows in the table; counted once, then kept up by what is written here. */
  #rows: number | undefined;

  constructor(options: {
    readonly database: Database<PeopleTables>;
    readonly clock: Clock;
    readonly maxRows?: number;
  }) {
    this.#database = options.database;
    this.#clock = options.clock;
    this.#maxRows = options.maxRows ?? MAX_ROWS;
  }

  /** Counts the attempt, unless it must wait: then nothing is written. */
  async admit(attempt: Attempt): Promise<Admission> {
    const counters = countersOf(attempt);
    return this.#database.query.transaction().execute(async (queries) => {
      const nowMs = this.#clock.wallMs();
      const rows: Row[] = [];
      for (const { key, pace } of counters) rows.push(await read(queries, key, pace, nowMs));
      const retryAfterMs = Math.max(...rows.map((row) => row.waitMs));
      if (retryAfterMs > 0) return { isAdmitted: false, retryAfterMs };
      for (const [index, { key, pace }] of counters.entries()) {
        await this.#write(queries, { key, pace, nowMs, row: rows[index]!, by: 1 });
      }
      return {
        isAdmitted: true,
        succeeded: () => this.#giveBack(counters, "success"),
        takeBack: () => this.#giveBack(counters, "untried"),
      };
    });
  }

  async #giveBack(counters: readonly Counter[], why: "success" | "untried"): Promise<void> {
    await this.#database.query.transaction().execute(async (queries) => {
      const nowMs = this.#clock.wallMs();
      for (const { key, pace } of counters) {
        // The pair knows the password and starts afresh. The network only gets this one attempt back, or signing in
        // to an account of one's own now and then would pay for any number of guesses at others'.
        if (why === "success" && pace.isClearedBySuccess) {
          const { numDeletedRows } = await queries
            .deleteFrom("attempts")
            .where("key", "=", key)
            .executeTakeFirstOrThrow();
          this.#rows = this.#rows && this.#rows - Number(numDeletedRows);
          continue;
        }
        const row = await read(queries, key, pace, nowMs);
        await this.#write(queries, { key, pace, nowMs, row, by: -1 });
      }
    });
  }

  async #write(
    queries: Queries,
    { key, pace, nowMs, row, by }: Counter & { nowMs: number; row: Row; by: 1 | -1 },
  ): Promise<void> {
    const failures = Math.max(0, row.failures + by);
    const columns = {
      failures,
      last_at_ms: nowMs,
      blocked_until_ms: nowMs + waitAfterMs(pace, failures),
    };
    await queries
      .insertInto("attempts")
      .values({ key, ...columns })
      .onConflict((conflict) => conflict.column("key").doUpdateSet(columns))
      .execute();
    if (row.isNew) await this.#makeRoom(queries);
  }

  /** Called after one row was added. */
  async #makeRoom(queries: Queries): Promise<void> {
    if (this.#rows === undefined) {
      const { count } = await queries
        .selectFrom("attempts")
        .select(({ fn }) => fn.countAll<number>().as("count"))
        .executeTakeFirstOrThrow();
      this.#rows = count;
    } else {
      this.#rows++;
    }
    if (this.#rows <= this.#maxRows) return;
    const { numDeletedRows } = await queries
      .deleteFrom("attempts")
      .where("key", "in", (oldest) =>
        oldest
          .selectFrom("attempts")
          .select("key")
          .orderBy("last_at_ms")
          .limit(Math.ceil(this.#maxRows / 10)),
      )
      .executeTakeFirstOrThrow();
    this.#rows -= Number(numDeletedRows);
  }
}

type Queries = Kysely<PeopleTables>;

/** How one kind of counter slows down. */
interface Pace {
  /** Failures without a wait: people mistype. */
  readonly freeFailures: number;
  readonly maxWaitMs: number;
  /** Time that forgives one failure. */
  readonly forgiveMs: number;
  readonly isClearedBySuccess: boolean;
}

interface Counter {
  readonly key: Buffer;
  readonly pace: Pace;
}

/** A counter as of now: what time has forgiven is taken off. */
interface Row {
  readonly failures: number;
  readonly waitMs: number;
  readonly isNew: boolean;
}

/** Three free guesses, then 1 s, 2 s … 5 min: twelve guesses an hour. */
const PAIR: Pace = {
  freeFailures: 3,
  maxWaitMs: 300_000,
  forgiveMs: 600_000,
  isClearedBySuccess: true,
};
/** Many people may share an address, so it has more, and never waits longer than a minute. */
const NETWORK: Pace = {
  freeFailures: 20,
  maxWaitMs: 60_000,
  forgiveMs: 60_000,
  isClearedBySuccess: false,
};
/** A browser of one's own: more room for typing errors, the same end. */
const DEVICE: Pace = { ...PAIR, freeFailures: 5 };
const FIRST_WAIT_MS = 1_000;
/**
 * About 6 MB. When full, the tenth that is oldest is forgotten: filling it takes as many hashes, which the pool stretches
 * over more than an hour, far longer than the longest wait.
 */
const MAX_ROWS = 50_000;

function countersOf({ account, network, knownDevice }: Attempt): Counter[] {
  if (knownDevice !== undefined)
    return [{ key: keyOf("device", account, knownDevice), pace: DEVICE }];
  return [
    { key: keyOf("pair", account, network), pace: PAIR },
    { key: keyOf("network", network), pace: NETWORK },
  ];
}

/** A digest: of fixed size whatever was typed, and what was typed into the name field may have been a password. */
function keyOf(kind: string, ...parts: readonly string[]): Buffer {
  return createHash("sha256")
    .update(JSON.stringify([kind, ...parts]))
    .digest();
}

async function read(queries: Queries, key: Buffer, pace: Pace, nowMs: number): Promise<Row> {
  const row = await queries
    .selectFrom("attempts")
    .selectAll()
    .where("key", "=", key)
    .executeTakeFirst();
  if (row === undefined) return { failures: 0, waitMs: 0, isNew: true };
  const sinceMs = Math.max(0, nowMs - row.last_at_ms);
  return {
    failures: Math.max(0, row.failures - Math.floor(sinceMs / pace.forgiveMs)),
    // A wall clock that was set back must not turn a wait of minutes into one of days.
    waitMs: Math.min(Math.max(0, row.blocked_until_ms - nowMs), waitAfterMs(pace, row.failures)),
    isNew: false,
  };
}

function waitAfterMs({ freeFailures, maxWaitMs }: Pace, failures: number): number {
  const excess = failures - freeFailures;
  return excess < 0 ? 0 : Math.min(maxWaitMs, FIRST_WAIT_MS * 2 ** Math.min(excess, 20));
}

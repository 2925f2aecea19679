import type { Clock, Random } from "@tidegate/clock";
import type { Database } from "@tidegate/service-kit";
import type { PeopleTables } from "./people-schema.ts";
import { createSecretToken, hashSecretToken, isSecretToken } from "./secret-token.ts";

/** A browser that somebody signed in with. */
export interface Greeting {
  /** What the browser keeps from now on. */
  readonly token: string;
  /** This person was never seen in this browser. */
  readonly isNew: boolean;
  /** This person was never seen in any browser. */
  readonly isFirst: boolean;
}

/** Which browsers each person has signed in with: for the back-off, and for telling them about new ones. */
export class Devices {
  readonly #database: Database<PeopleTables>;
  readonly #clock: Clock;
  readonly #random: Random;

  constructor(options: {
    readonly database: Database<PeopleTables>;
    readonly clock: Clock;
    readonly random: Random;
  }) {
    this.#database = options.database;
    this.#clock = options.clock;
    this.#random = options.random;
  }

  /** The first of the browser's tokens that belongs to this person. */
  async findKnown(personId: string, tokens: readonly string[]): Promise<string | undefined> {
    for (const token of tokens.slice(0, MAX_TOKENS_PER_BROWSER).filter(isSecretToken)) {
      const row = await this.#database.query
        .selectFrom("devices")
        .select("person")
        .where("person", "=", personId)
        .where("token_hash", "=", hashSecretToken(token))
        .executeTakeFirst();
      if (row !== undefined) return token;
    }
    return undefined;
  }

  /**
   * Notes that a person has signed in with a browser. A browser that is new to the person always gets a token made here:
   * one that came with it may have been planted, and would make the planter's browser a known one.
   */
  async greet(visit: {
    readonly personId: string;
    readonly tokens: readonly string[];
    readonly userAgent: string;
  }): Promise<Greeting> {
    const { personId } = visit;
    const nowMs = this.#clock.wallMs();
    const known = await this.findKnown(personId, visit.tokens);
    const token = known ?? createSecretToken(this.#random);
    const tokenHash = hashSecretToken(token);
    const userAgent = visit.userAgent.slice(0, MAX_USER_AGENT_LENGTH);
    return this.#database.query.transaction().execute(async (queries) => {
      const { count } = await queries
        .selectFrom("devices")
        .select(({ fn }) => fn.countAll<number>().as("count"))
        .where("person", "=", personId)
        .executeTakeFirstOrThrow();
      await queries
        .insertInto("devices")
        .values({
          person: personId,
          token_hash: tokenHash,
          user_agent: userAgent,
          first_seen_at_ms: nowMs,
          last_seen_at_ms: nowMs,
        })
        .onConflict((conflict) =>
          conflict
            .columns(["person", "token_hash"])
            .doUpdateSet({ last_seen_at_ms: nowMs, user_agent: userAgent }),
        )
        .execute();
      await queries
        .deleteFrom("devices")
        .where("person", "=", personId)
        .where("token_hash", "not in", (newest) =>
          newest
            .selectFrom("devices")
            .select("token_hash")
            .where("person", "=", personId)
            .orderBy("last_seen_at_ms", "desc")
            .limit(MAX_DEVICES_PER_PERSON),
        )
        .execute();
      return { token, isNew: known === undefined, isFirst: count === 0 };
    });
  }
}

/** People who share one browser. The cookie holds no more; who falls out is greeted as new. */
export const MAX_TOKENS_PER_BROWSER = 4;
/** Browsers of one person; the one not used for longest is forgotten, and greeted as new when it comes back. */
const MAX_DEVICES_PER_PERSON = 20;
const MAX_USER_AGENT_LENGTH = 512;

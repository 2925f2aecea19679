import type { LimitAnswer, LimitAsk } from "../src/redis/limit-store.ts";
import { connectRedis, type RedisConnection } from "../src/redis/redis-connection.ts";
import {
  epochKey,
  LIMIT_SCRIPT,
  parseScriptReply,
  toScriptArguments,
} from "../src/redis/script-call.ts";

/** The real script on a real server, at a time that the test chooses. */
export interface ScriptRunner extends AsyncDisposable {
  readonly connection: RedisConnection;
  /** Sent at once; answers come in the order of calls. */
  run(asks: readonly LimitAsk[], at: ScriptMoment): Promise<LimitAnswer>;
}

export interface ScriptMoment {
  readonly nowUs: number;
  readonly node?: string;
  readonly tag?: number;
  readonly runId?: string;
  readonly grantsWhenEmpty?: boolean;
  readonly trustsRestart?: boolean;
}

/** @param script the script's text; tests of mutants pass another one */
export async function openScriptRunner(url: string, script = LIMIT_SCRIPT): Promise<ScriptRunner> {
  const ready = Promise.withResolvers<void>();
  const connection = connectRedis({
    url,
    jitter: () => 0,
    events: { connected: () => ready.resolve(), lost: () => undefined },
  });
  await ready.promise;
  const sha = String(await connection.command(["SCRIPT", "LOAD", script]));
  let epochs = 0;
  return {
    connection,
    async run(asks, at) {
      const caller = {
        runId: at.runId ?? "run",
        freshEpoch: `epoch${++epochs}`,
        grantsWhenEmpty: at.grantsWhenEmpty ?? true,
        trustsRestart: at.trustsRestart ?? false,
        node: at.node ?? "node",
      };
      const args = toScriptArguments(caller, epochKey("t", at.tag ?? 0), asks, at.nowUs);
      return parseScriptReply(await connection.command(["EVALSHA", sha, ...args]), asks.length);
    },
    [Symbol.asyncDispose]: () => connection[Symbol.asyncDispose](),
  };
}

/** An ask with nothing but the units. */
export function askFor(ask: Pick<LimitAsk, "key" | "plan"> & Partial<LimitAsk>): LimitAsk {
  return { seq: 0, need: 0, want: 0, ends: [], undo: [], periodUs: undefined, ttlMs: 300, ...ask };
}

import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { KeyAnswer, LimitAnswer, LimitAsk } from "./limit-store.ts";

/** The script's text and the name the server knows it by. */
export const LIMIT_SCRIPT = readFileSync(join(import.meta.dirname, "limit-script.lua"), "utf8");
export const LIMIT_SCRIPT_SHA = createHash("sha1").update(LIMIT_SCRIPT).digest("hex");

/** What every call of one node on one connection says first. */
export interface ScriptCaller {
  /** Of the server as it was when this connection began; another one means that it was restarted meanwhile. */
  readonly runId: string;
  /** Taken for the epoch where a new one begins. */
  readonly freshEpoch: string;
  readonly grantsWhenEmpty: boolean;
  readonly trustsRestart: boolean;
  readonly node: string;
}

/** Tags that all keys are spread over. A script runs on keys of one tag; 256 tags spread over as many cluster slots. */
export const TAGS = 256;

export function epochKey(prefix: string, tag: number): string {
  return `${prefix}:{${tag}}:epoch`;
}

/** Arguments of EVALSHA (or EVAL) after the script. @param nowUs the time of decision, for tests; else the server's own */
export function toScriptArguments(
  caller: ScriptCaller,
  epoch: string,
  asks: readonly LimitAsk[],
  nowUs?: number,
): string[] {
  const keys = [epoch];
  const args = [
    caller.runId,
    caller.freshEpoch,
    caller.grantsWhenEmpty ? "1" : "0",
    caller.trustsRestart ? "1" : "0",
    caller.node,
  ];
  for (const ask of asks) {
    const { plan, periodUs } = ask;
    keys.push(ask.key);
    args.push(
      plan.kind,
      String(plan.sharedCapacity),
      String(periodUs?.[1] ?? plan.span),
      String(periodUs?.[0] ?? plan.grid),
      String(ask.ttlMs * 1000),
      String(ask.seq),
      String(ask.need),
      String(ask.want),
      String(ask.ends.length),
    );
    for (const { seq, spent } of ask.ends) args.push(String(seq), String(spent));
    args.push(String(ask.undo.length));
    for (const { atUs, units, epoch: of } of ask.undo) args.push(String(atUs), String(units), of);
    const renew = ask.renew ?? [];
    args.push(String(renew.length));
    for (const { seq, slot } of renew) args.push(String(seq), String(slot.units));
  }
  if (nowUs !== undefined) args.push(String(nowUs));
  return [String(keys.length), ...keys, ...args];
}

const VALUES_PER_KEY = 8;

/** @throws {TypeError} when the reply has another form: a bug, not a fault of the connection */
export function parseScriptReply(reply: unknown, keyCount: number): LimitAnswer {
  if (!Array.isArray(reply) || reply.length !== 2 + VALUES_PER_KEY * keyCount)
    throw new TypeError("Cannot read the limit script's reply");
  const keys: KeyAnswer[] = [];
  for (let at = 2; at < reply.length; at += VALUES_PER_KEY) {
    const [status, granted, free, waitUs, resetUs, bookedUs, others] = reply
      .slice(at, at + VALUES_PER_KEY - 1)
      .map(Number) as [KeyAnswer["status"], number, number, number, number, number, number];
    keys.push({
      status,
      granted,
      free,
      waitMs: waitUs / 1000,
      resetMs: resetUs / 1000,
      bookedUs,
      others,
      unrenewed: String(reply[at + VALUES_PER_KEY - 1])
        .split(" ")
        .filter((seq) => seq !== "")
        .map(Number),
    });
  }
  return { epoch: String(reply[0]), isMet: Number(reply[1]) === 1, keys };
}

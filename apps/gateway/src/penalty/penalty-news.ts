import type { PenaltyKind } from "./penalty-key.ts";
import { SUSPENDED, type Penalty } from "./penalty-rules.ts";

// How penalties travel between nodes. Their times are the server's; a node turns them into its own by the time that
// is left, so that no two clocks need to agree.

/** One change as the server tells it. */
export interface PenaltyNews {
  /** Of the stream; rises with each change. */
  readonly id: string;
  readonly key: string;
  /** Undefined: forgotten. Times are the server's. */
  readonly penalty: Penalty | undefined;
  /** Time of the server when it was told. */
  readonly toldMs: number;
}

/** @param value as the script writes it; empty for who was forgotten. @returns undefined when it cannot be read */
export function parsePenalty(value: string): Penalty | undefined {
  const parts = /^(person|key|client|address) (\d+) (\d+) (\d+|never) (\d+) ?(.*)$/s.exec(value);
  if (parts === null) return undefined;
  const [, kind, strikes, counted, until, started, reason = ""] = parts;
  return {
    kind: kind as PenaltyKind,
    strikes: Number(strikes),
    countedAtMs: Number(counted),
    untilMs: until === "never" ? SUSPENDED : Number(until),
    startedMs: Number(started),
    reason,
  };
}

/** The same penalty in another clock; P stays wall time. @param byMs what that clock shows more */
export function shiftPenalty(penalty: Penalty, byMs: number): Penalty {
  return {
    ...penalty,
    countedAtMs: penalty.countedAtMs + byMs,
    untilMs: penalty.untilMs + byMs,
  };
}

/** The reply of the script: outcome, time, then key, value and id of each change. */
export function parseReply(reply: unknown): {
  readonly outcome: string;
  readonly news: readonly PenaltyNews[];
} {
  const [outcome = "", now = "", ...rest] = (reply as unknown[]).map(String);
  const news: PenaltyNews[] = [];
  for (let at = 0; at + 2 < rest.length; at += 3)
    news.push(toNews(rest[at + 2] as string, rest[at] as string, rest[at + 1] as string, now));
  return { outcome, news };
}

/** The reply of XREAD: nothing, or one stream with its entries. */
export function parseStream(reply: unknown): readonly PenaltyNews[] {
  if (reply === null || reply === undefined) return [];
  const [[, entries]] = reply as [[string, [string, string[]][]]];
  return entries.map(([id, fields]) => {
    const read = (name: string): string => fields[fields.indexOf(name) + 1] ?? "";
    return toNews(id, read("k"), read("v"), read("n"));
  });
}

function toNews(id: string, key: string, value: string, now: string): PenaltyNews {
  return { id, key, penalty: parsePenalty(value), toldMs: Number(now) };
}

/** Whether one id of a stream is later than another. */
export function isLater(id: string, than: string): boolean {
  const [ms = 0, count = 0] = id.split("-").map(Number);
  const [thanMs = 0, thanCount = 0] = than.split("-").map(Number);
  return ms > thanMs || (ms === thanMs && count > thanCount);
}

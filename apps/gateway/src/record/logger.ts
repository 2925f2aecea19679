import { pino } from "pino";
import type { Clock } from "@tidegate/clock";
import { createLineSink } from "./line-sink.ts";
import type { LogDestination } from "./log-destination.ts";
import { escapeUnsafe } from "./quoted-text.ts";

export type LogLevel = "debug" | "info" | "warn" | "error";

/** What an event line may hold: ids, numbers with their unit in the name, and errors (with their causes). */
export type EventFields = Readonly<Record<string, string | number | boolean | Error | undefined>>;

/** The gateway's log. Nothing here throws or waits; what cannot be written is counted in `droppedLines`. */
export interface Log extends AsyncDisposable {
  /** Whether lines of this level are written. */
  writes(level: LogLevel): boolean;
  /** Writes a business event. Called by the functions of `events.ts` only, so that names and fields stay few. */
  event(level: LogLevel, name: string, fields: EventFields): void;
  /** Writes a line that was put together elsewhere: valid JSON, safe text, with its line end. */
  line(text: string): void;
  /** The time as lines carry it: ISO 8601, UTC, milliseconds. */
  timestamp(): string;
  readonly droppedLines: number;
  readonly bufferedBytes: number;
  /** Waits until everything is out, at most `deadlineMs`. @returns how many lines were still waiting then */
  flush(deadlineMs: number): Promise<number>;
}

const SEVERITY: Readonly<Record<LogLevel, number>> = { debug: 20, info: 30, warn: 40, error: 50 };
const DEFAULT_CLOSE_DEADLINE_MS = 2_000;

/**
 * @param options.maxBufferedBytes lines that wait for a slow destination; further lines are dropped and counted
 * @param options.closeDeadlineMs how long disposing waits for a slow reader: less than a supervisor's patience
 */
export function createLogger(options: {
  readonly level: LogLevel;
  readonly destination: LogDestination;
  readonly maxBufferedBytes: number;
  readonly clock: Clock;
  readonly closeDeadlineMs?: number;
}): Log {
  const { level, destination, maxBufferedBytes, clock } = options;
  const { closeDeadlineMs = DEFAULT_CLOSE_DEADLINE_MS } = options;
  const sink = createLineSink({ destination, maxBufferedBytes, clock });
  const timestamp = createTimestamp(clock);
  const threshold = SEVERITY[level];
  let unwritable = 0;

  const events = pino(
    {
      level,
      base: null,
      messageKey: "message",
      timestamp: () => `,"time":"${timestamp()}"`,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { error: pino.stdSerializers.errWithCause },
      // Nothing logs these on purpose; a field with such a name is a mistake that must not become a leak.
      redact: { paths: SECRET_PATHS, censor: "[secret]" },
    },
    { write: (line: string) => sink.write(`${escapeUnsafe(line.slice(0, -1))}\n`) },
  );

  return {
    writes: (wanted) => SEVERITY[wanted] >= threshold,
    event(eventLevel, name, fields) {
      if (SEVERITY[eventLevel] < threshold) return;
      try {
        events[eventLevel]({ event: name, ...fields });
      } catch {
        // An error object with a hostile getter, for one. The log is never a reason to fail.
        unwritable += 1;
      }
    },
    line: (text) => sink.write(text),
    timestamp,
    get droppedLines() {
      return sink.droppedLines + unwritable;
    },
    get bufferedBytes() {
      return sink.bufferedBytes;
    },
    flush: (deadlineMs) => sink.flush(deadlineMs),
    async [Symbol.asyncDispose]() {
      await sink.close(closeDeadlineMs);
    },
  };
}

const SECRET_NAMES = ["authorization", "cookie", "set-cookie", "tidegate-assertion", "token"];
const SECRET_PATHS = SECRET_NAMES.map((name) => `["${name}"]`);

/** Formatting a date costs more than the rest of a line; lines of one millisecond share it. */
function createTimestamp(clock: Clock): () => string {
  let atMs = Number.NaN;
  let text = "";
  return () => {
    const nowMs = Math.floor(clock.wallMs());
    if (nowMs !== atMs) {
      atMs = nowMs;
      text = new Date(nowMs).toISOString();
    }
    return text;
  };
}

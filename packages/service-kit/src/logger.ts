import { pino, stdTimeFunctions, type DestinationStream, type Logger } from "pino";

export type { Logger };

export const LOG_LEVELS = ["trace", "debug", "info", "warn", "error", "silent"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/**
 * Structured lines, one per fact, on standard output unless told otherwise.
 * Credentials are removed wherever such a field is logged by mistake; nothing logs them on purpose.
 */
export function createLogger(options: {
  readonly service: string;
  readonly level: LogLevel;
  readonly destination?: DestinationStream;
}): Logger {
  const settings = {
    level: options.level,
    base: { service: options.service },
    timestamp: stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
    redact: { paths: SECRET_PATHS, censor: "[secret]" },
  };
  return options.destination === undefined ? pino(settings) : pino(settings, options.destination);
}

const SECRET_NAMES = [
  "authorization",
  "cookie",
  "set-cookie",
  "tidegate-assertion",
  "idempotency-key",
];
// One level deep and two: a field may be logged alone, as headers, or as the headers of a request.
const SECRET_PATHS = SECRET_NAMES.flatMap((name) => [
  `["${name}"]`,
  `*["${name}"]`,
  `*.headers["${name}"]`,
]);

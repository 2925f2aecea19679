import { fieldValues } from "./fields.ts";

/** A day: what is longer is no wait but an outage, and numbers of any length must fit a close reason. */
const LONGEST_SECONDS = 86_400;

/**
 * How long an upstream's answer asks to wait (RFC 9110 §10.2.3): seconds, or a date.
 * @param fields flat list of names and values
 * @returns whole seconds, `[1, 86400]`; undefined when it does not say, or not in an understandable way
 */
export function readRetryAfter(fields: readonly string[], nowMs: number): number | undefined {
  const values = fieldValues(fields, "retry-after");
  const [value = ""] = values;
  if (values.length !== 1) return undefined;
  const seconds = /^\d+$/.test(value) ? Number(value) : secondsUntil(value, nowMs);
  if (Number.isNaN(seconds)) return undefined;
  return Math.min(Math.max(1, Math.ceil(seconds)), LONGEST_SECONDS);
}

/** RFC 9110 §5.6.7, in the one form that is still sent. */
function secondsUntil(date: string, nowMs: number): number {
  if (!/^[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT$/.test(date)) return Number.NaN;
  return (Date.parse(date) - nowMs) / 1_000;
}

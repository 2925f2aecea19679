/**
 * Reads a NumericDate (RFC 7519 §2): seconds since the epoch, possibly with a fraction.
 * @returns undefined for anything else, also for strings that look like one
 */
export function readNumericDate(value: unknown): number | undefined {
  return typeof value === "number" && value > 0 && value <= MAX_SECONDS ? value : undefined;
}

/** The year 9999; a later time is a unit error, milliseconds for seconds. */
const MAX_SECONDS = 253_402_300_799;

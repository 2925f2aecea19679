import type { CalendarPeriod } from "./limit-definition.ts";

/** A stretch of calendar: wall-clock milliseconds [startMs, endMs). */
export interface PeriodSpan {
  readonly startMs: number;
  readonly endMs: number;
}

/**
 * The calendar period that the instant lies in, as people in `timeZone` see it: days of 23 or 25 hours, months of
 * their own length. Allocates; for the moments when a period may have changed, not for each call.
 *
 * Minutes and hours are cut off at a change of the zone's offset: where clocks go back by half an hour, that hour
 * counts as two periods. So periods never overlap.
 */
export function periodAt(wallMs: number, period: CalendarPeriod, timeZone: string): PeriodSpan {
  const here = Temporal.Instant.fromEpochMilliseconds(Math.floor(wallMs)).toZonedDateTimeISO(
    timeZone,
  );
  switch (period) {
    case "minute":
      return shortPeriodAt(here, 60_000);
    case "hour":
      return shortPeriodAt(here, 3_600_000);
    case "day":
      return spanFrom(here.startOfDay(), { days: 1 });
    case "week":
      return spanFrom(here.subtract({ days: here.dayOfWeek - 1 }).startOfDay(), { days: 7 });
    case "month":
      return spanFrom(here.with({ day: 1 }).startOfDay(), { months: 1 });
  }
}

/** Whether the platform knows the zone. */
export function isTimeZone(name: unknown): boolean {
  if (typeof name !== "string") return false;
  try {
    Temporal.Instant.fromEpochMilliseconds(0).toZonedDateTimeISO(name);
    return true;
  } catch {
    // An unknown name is the answer, not a fault.
    return false;
  }
}

function spanFrom(start: Temporal.ZonedDateTime, length: Temporal.DurationLike): PeriodSpan {
  return {
    startMs: start.epochMilliseconds,
    // Midnight may be missing on the next day, so its own start of day is asked for.
    endMs: start.add(length).startOfDay().epochMilliseconds,
  };
}

function shortPeriodAt(here: Temporal.ZonedDateTime, lengthMs: number): PeriodSpan {
  const offsetMs = here.offsetNanoseconds / 1e6;
  const localMs = here.epochMilliseconds + offsetMs;
  const startMs = Math.floor(localMs / lengthMs) * lengthMs - offsetMs;
  // A transition counts from its own instant on, but the platform's "previous" is strictly before.
  const changed = here.add({ nanoseconds: 1 }).getTimeZoneTransition("previous");
  const changes = here.getTimeZoneTransition("next");
  return {
    startMs: Math.max(startMs, changed?.epochMilliseconds ?? Number.NEGATIVE_INFINITY),
    endMs: Math.min(startMs + lengthMs, changes?.epochMilliseconds ?? Number.POSITIVE_INFINITY),
  };
}

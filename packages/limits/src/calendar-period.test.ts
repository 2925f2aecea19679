import assert from "node:assert/strict";
import { describe, test } from "node:test";
import * as fc from "fast-check";
import { isTimeZone, periodAt } from "./calendar-period.ts";
import type { CalendarPeriod } from "./limit-definition.ts";

const at = (text: string): number => Temporal.Instant.from(text).epochMilliseconds;
const hours = (start: string, period: CalendarPeriod, zone: string): number => {
  const { startMs, endMs } = periodAt(at(start), period, zone);
  return (endMs - startMs) / 3_600_000;
};

describe("periodAt()", () => {
  test("knows days of 23, 24 and 25 hours", () => {
    assert.equal(hours("2026-03-29T12:00Z", "day", "Europe/Zurich"), 23);
    assert.equal(hours("2026-10-25T12:00Z", "day", "Europe/Zurich"), 25);
    assert.equal(hours("2026-10-25T12:00Z", "day", "UTC"), 24);
    assert.equal(hours("2026-10-25T12:00Z", "week", "Europe/Zurich"), 169);
    assert.equal(hours("2028-02-10T12:00Z", "month", "UTC"), 29 * 24);
  });

  test("begins days and months at local midnight, weeks on Monday", () => {
    const moment = at("2026-11-01T03:30Z");
    assert.equal(periodAt(moment, "day", "America/New_York").startMs, at("2026-10-31T04:00Z"));
    assert.equal(periodAt(moment, "month", "America/New_York").startMs, at("2026-10-01T04:00Z"));
    assert.equal(periodAt(moment, "month", "Asia/Kolkata").startMs, at("2026-10-31T18:30Z"));
    assert.equal(periodAt(moment, "week", "UTC").startMs, at("2026-10-26T00:00Z"));
    assert.equal(periodAt(moment, "hour", "Asia/Kolkata").startMs, at("2026-11-01T03:30Z"));
    assert.equal(periodAt(moment, "minute", "UTC").endMs, at("2026-11-01T03:31Z"));
  });

  test("cuts the hour in which clocks go back by half an hour into two", () => {
    // Lord Howe: 02:00+11:00 becomes 01:30+10:30 at 15:00Z.
    const before = periodAt(at("2026-04-04T14:59Z"), "hour", "Australia/Lord_Howe");
    const after = periodAt(at("2026-04-04T15:00Z"), "hour", "Australia/Lord_Howe");
    assert.equal(before.endMs, after.startMs);
    assert.equal(after.startMs, at("2026-04-04T15:00Z"));
    assert.equal(after.endMs, at("2026-04-04T15:30Z"));
  });

  test("periods tile the line: each instant lies in one, and the next begins where it ends", () => {
    const cases = fc.tuple(
      fc.integer({ min: at("2012-01-01T00:00Z"), max: at("2060-01-01T00:00Z") }),
      fc.constantFrom<CalendarPeriod>("minute", "hour", "day", "week", "month"),
      fc.constantFrom(
        "UTC",
        "Europe/Zurich",
        "America/New_York",
        "America/Havana",
        "America/Asuncion",
        "Africa/Cairo",
        "Asia/Kathmandu",
        "Australia/Lord_Howe",
        "Pacific/Chatham",
        "Pacific/Apia",
      ),
    );
    fc.assert(
      fc.property(cases, ([moment, period, zone]) => {
        const { startMs, endMs } = periodAt(moment, period, zone);
        assert.ok(startMs <= moment && moment < endMs);
        assert.deepEqual(periodAt(startMs, period, zone), { startMs, endMs });
        assert.deepEqual(periodAt(endMs - 1, period, zone), { startMs, endMs });
        assert.equal(periodAt(endMs, period, zone).startMs, endMs);
        // Kept in minutes by the engine.
        assert.equal(startMs % 60_000, 0);
      }),
      { numRuns: 300 },
    );
  });
});

test("isTimeZone() knows IANA names only", () => {
  for (const name of ["UTC", "Europe/Zurich", "America/Argentina/Buenos_Aires"]) {
    assert.equal(isTimeZone(name), true);
  }
  for (const name of ["Mars/Olympus", "", "Europe/Zurich ", 7, null]) {
    assert.equal(isTimeZone(name), false);
  }
});

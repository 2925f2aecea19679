import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { systemRandom, type Random } from "@tidegate/clock";
import * as fc from "fast-check";
import { createLimiter } from "./create-limiter.ts";
import type { LimitDefinition } from "./limit-definition.ts";
import { createLimitReport, OUTCOME } from "./limiter.ts";
import {
  toLegacyFields,
  toLimitField,
  toPolicyField,
  toRateLimitPolicy,
  toRetryAfterSeconds,
  toViolatedPolicies,
} from "./rate-limit-fields.ts";

const pay: LimitDefinition = { kind: "window", name: "pay", limit: 5, seconds: 60 };
const api: LimitDefinition = { kind: "bucket", name: "api", count: 600, seconds: 60, burst: 200 };
const [policyOfPay, policyOfApi] = [toRateLimitPolicy(pay), toRateLimitPolicy(api)];

const fixedRandom = (unit: number): Random => ({ ...systemRandom, unit: () => unit });

function reportOf(entries: readonly { remaining: number; waitMs: number; resetMs: number }[]) {
  const report = createLimitReport();
  for (const [at, { remaining, waitMs, resetMs }] of entries.entries()) {
    report.remaining[at] = remaining;
    report.retryAfterEachMs[at] = waitMs;
    report.resetMs[at] = resetMs;
    if (waitMs > 0) report.violated[report.violatedCount++] = at;
    report.retryAfterMs = Math.max(report.retryAfterMs, waitMs);
  }
  return report;
}

describe("RateLimit fields", () => {
  test("toPolicyField() announces a window as it is and a bucket as its burst and the time that refills it", () => {
    assert.equal(toPolicyField([policyOfPay, policyOfApi]), '"pay";q=5;w=60, "api";q=200;w=20');
    const bytes = toRateLimitPolicy({ ...api, burst: 7 }, "content-bytes");
    assert.equal(bytes.item, '"api";q=7;qu="content-bytes";w=1');
  });

  test("toPolicyField() announces a quota by its longest period, and what is in flight without a window", () => {
    const monthly = toRateLimitPolicy({ kind: "quota", name: "m", limit: 9, period: "month" });
    assert.equal(monthly.item, '"m";q=9;w=2678400');
    const slots = toRateLimitPolicy({ kind: "concurrency", name: "c", limit: 3 });
    assert.equal(slots.item, '"c";q=3;qu="concurrent-requests"');
  });

  test("toLimitField() rounds r down and t up, and leaves t out where nothing is spent", () => {
    const report = reportOf([
      { remaining: 0, waitMs: 40_001, resetMs: 59_000 },
      { remaining: 199.99, waitMs: 0, resetMs: 1 },
    ]);
    assert.equal(
      toLimitField([policyOfPay, policyOfApi], report),
      '"pay";r=0;t=41, "api";r=199;t=1',
    );
    const full = reportOf([{ remaining: 5, waitMs: 0, resetMs: 0 }]);
    assert.equal(toLimitField([policyOfPay], full), '"pay";r=5');
    assert.deepEqual(toViolatedPolicies([policyOfPay, policyOfApi], report), ["pay"]);
  });

  test("a name cannot break out of its string", () => {
    const hostile = { ...pay, name: '",evil";q=9;w=1 \\' };
    const policy = toRateLimitPolicy(hostile);
    assert.deepEqual(parseList(policy.item), [
      { value: hostile.name, parameters: { q: 5, w: 60 } },
    ]);
    assert.throws(() => toRateLimitPolicy({ ...pay, name: "a\r\nSet-Cookie: x" }));
  });

  test("any values read back from the fields as an independent parser sees them", () => {
    const entry = fc.record({
      remaining: fc.double({ min: 0, max: 2 ** 31, noNaN: true }),
      waitMs: fc.oneof(fc.constant(0), fc.constant(Infinity), fc.nat(2 ** 31)),
      resetMs: fc.nat(2 ** 31),
    });
    const name = fc.string({ unit: "grapheme-ascii", minLength: 1 });
    fc.assert(
      fc.property(fc.array(fc.tuple(name, entry), { minLength: 1, maxLength: 4 }), (rows) => {
        const policies = rows.map(([text]) => toRateLimitPolicy({ ...pay, name: text }));
        const report = reportOf(rows.map(([, values]) => values));
        const list = parseList(toLimitField(policies, report));
        assert.deepEqual(
          list.map((item) => item.value),
          rows.map(([text]) => text),
        );
        for (const [at, { parameters }] of list.entries()) {
          assert.equal(parameters["r"], Math.floor(report.remaining[at]!));
          const wait = report.retryAfterEachMs[at]!;
          const until = wait > 0 && wait < Infinity ? wait : report.resetMs[at]!;
          assert.ok((parameters["t"] ?? 0) * 1000 > until - 1);
        }
        assert.deepEqual(
          parseList(toPolicyField(policies)).map((item) => item.parameters),
          rows.map(() => ({ q: 5, w: 60 })),
        );
      }),
    );
  });

  test("toRetryAfterSeconds() is never earlier than any t of a refused limit, and spreads by a tenth", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 10 ** 9 }),
        fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
        (waitMs, unit) => {
          const report = reportOf([{ remaining: 0, waitMs, resetMs: waitMs }]);
          const seconds = toRetryAfterSeconds(report, fixedRandom(unit));
          const [item] = parseList(toLimitField([policyOfPay], report));
          assert.ok(seconds !== undefined && seconds >= item!.parameters["t"]!);
          assert.ok(seconds <= item!.parameters["t"]! * 1.1 + 1 && Number.isInteger(seconds));
        },
      ),
    );
    const hour = reportOf([{ remaining: 0, waitMs: 3_600_000, resetMs: 0 }]);
    assert.equal(toRetryAfterSeconds(hour, fixedRandom(0)), 3_600);
    assert.equal(toRetryAfterSeconds(hour, fixedRandom(0.999_999)), 3_630);
    const impossible = reportOf([{ remaining: 5, waitMs: Infinity, resetMs: 0 }]);
    assert.equal(toRetryAfterSeconds(impossible, systemRandom), undefined);
  });

  test("toLegacyFields() tells of the limit with the smallest share left", () => {
    const report = reportOf([
      { remaining: 4, waitMs: 0, resetMs: 11_500 },
      { remaining: 20, waitMs: 0, resetMs: 18_000 },
    ]);
    assert.deepEqual(toLegacyFields([policyOfPay, policyOfApi], report), {
      "X-RateLimit-Limit": "200",
      "X-RateLimit-Remaining": "20",
      "X-RateLimit-Reset": "18",
    });
  });

  test("a client that waits as the fields say is admitted", () => {
    const limiter = createLimiter({ definitions: [pay, api], random: systemRandom });
    const handles = Int32Array.of(limiter.intern(0, "ada"), limiter.intern(1, "ada"));
    const costs = Int32Array.of(1, 1);
    const report = createLimitReport();
    // Whole milliseconds: of fractions the fields say nothing, no answer arrives within one.
    let nowMs = 1_000;
    for (let waits = 0; waits < 10;) {
      nowMs += 17;
      if (limiter.acquire(handles, costs, 2, nowMs, report) === OUTCOME.admitted) continue;
      waits++;
      nowMs += toRetryAfterSeconds(report, fixedRandom(0))! * 1000;
      assert.equal(limiter.acquire(handles, costs, 2, nowMs, report), OUTCOME.admitted);
    }
  });
});

interface Item {
  readonly value: string;
  readonly parameters: Record<string, number | string>;
}

/** A strict reader of the part of RFC 9651 §4.2 that these fields use: a list of strings with integer or string parameters. */
function parseList(field: string): { value: string; parameters: Record<string, number> }[] {
  let at = 0;
  const fail = (what: string): never => assert.fail(`${what} at ${at} of ${field}`);
  const eat = (text: string): boolean => {
    if (!field.startsWith(text, at)) return false;
    at += text.length;
    return true;
  };
  const string = (): string => {
    if (!eat('"')) fail("expected a string");
    let value = "";
    for (;;) {
      const char = field[at++] ?? fail("unfinished string");
      if (char === '"') return value;
      if (char < " " || char > "~") fail("character outside of a string's range");
      if (char !== "\\") value += char;
      else if (eat('"')) value += '"';
      else if (eat("\\")) value += "\\";
      else fail("bad escape");
    }
  };
  const integer = (): number => {
    const digits = /^-?\d{1,15}(?![\d.])/.exec(field.slice(at))?.[0] ?? fail("expected an integer");
    at += digits.length;
    return Number(digits);
  };
  const items: Item[] = [];
  while (at < field.length) {
    const value = string();
    const parameters: Record<string, number | string> = {};
    while (eat(";")) {
      while (eat(" "));
      const key = /^[a-z*][a-z0-9_.*-]*/.exec(field.slice(at))?.[0] ?? fail("expected a key");
      at += key.length;
      if (!eat("=")) fail("expected a value");
      parameters[key] = field[at] === '"' ? string() : integer();
    }
    items.push({ value, parameters });
    if (at === field.length) break;
    while (eat(" ") || eat("\t"));
    if (!eat(",")) fail("expected a comma");
    while (eat(" ") || eat("\t"));
    if (at === field.length) fail("trailing comma");
  }
  return items as { value: string; parameters: Record<string, number> }[];
}

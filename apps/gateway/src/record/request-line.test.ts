import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { REASON } from "../judge/reason.ts";
import { VERDICT } from "../judge/verdict.ts";
import { requestFixture, routeFixture } from "./record-fixture.ts";
import type { RequestRecord } from "./recorder.ts";
import { requestLine, rounded } from "./request-line.ts";

const routes = [routeFixture("GET /a"), routeFixture("GET /b")];

/** Few values of each, so that neighbours often agree. */
const changes = fc.record({
  method: fc.constantFrom("GET", "POST", 'x"\n'),
  status: fc.constantFrom(200, 404),
  route: fc.constantFrom(undefined, ...routes),
  verdict: fc.constantFrom(VERDICT.admit, VERDICT.reject),
  reason: fc.constantFrom(REASON.none, REASON.bad_path),
  fault: fc.constantFrom(undefined, "upstream_timeout"),
  faultDetail: fc.constantFrom(undefined, "late"),
  issuer: fc.constantFrom("https://one.example/", "https://two.example/"),
  subject: fc.constantFrom("", "ada", "gräce\u2028"),
  target: fc.constantFrom("", "127.0.0.1:1", "127.0.0.1:2"),
} satisfies Partial<Record<keyof RequestRecord, fc.Arbitrary<unknown>>>);

test("requestLine() says of each request what it is, whatever the connection's requests before were", () => {
  fc.assert(
    fc.property(fc.array(changes, { maxLength: 12 }), (requests) => {
      const peer = { address: "192.0.2.1", network: "192.0.2.1", port: 1, connectionNumber: 9 };
      for (const request of requests) {
        const record = requestFixture({ ...request, peer });
        const alone = requestFixture({ ...request, peer: { ...peer } });
        assert.equal(requestLine(record, "info", "t"), requestLine(alone, "info", "t"));
        assert.doesNotThrow(() => JSON.parse(requestLine(record, "info", "t")));
      }
    }),
  );
});

test("requestLine() writes times as rounded() does, whatever they are", () => {
  const times = fc.oneof(fc.double(), fc.double({ min: 0, max: 100_000 }), fc.integer());
  fc.assert(
    fc.property(times, (durationMs) => {
      const line = requestLine(requestFixture({ durationMs }), "info", "t");
      const written = /"durationMs":([^,]+),/.exec(line)?.[1];
      assert.equal(written, String(rounded(durationMs)));
    }),
    { examples: [[0], [0.0004], [0.0005], [1.0995], [12], [59_999.9996], [-0.5], [Number.NaN]] },
  );
});

test("requestLine() knows a connection's requests apart by level and time", () => {
  const record = requestFixture();
  const lines = [
    requestLine(record, "info", "t1"),
    requestLine(record, "warn", "t1"),
    requestLine(record, "warn", "t2"),
  ].map((line) => JSON.parse(line) as Record<string, unknown>);
  assert.deepEqual(
    lines.map(({ level, time }) => [level, time]),
    [
      ["info", "t1"],
      ["warn", "t1"],
      ["warn", "t2"],
    ],
  );
});

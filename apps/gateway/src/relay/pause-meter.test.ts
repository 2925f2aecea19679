import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { PauseMeter } from "./pause-meter.ts";

/** After how many seconds a socket that is paused for `share` of each 250 ms is too much; 0 when it never is. */
function secondsUntil(share: number, forSeconds: number): number {
  const meter = new PauseMeter();
  for (let count = 0; count <= forSeconds * 4; count++)
    if (meter.isTooMuch(count * 250, count * 250 * share)) return count / 4;
  return 0;
}

describe("PauseMeter", () => {
  test("isTooMuch() at 8 of 10 s, and no sooner", () => {
    assert.equal(secondsUntil(1, 60), 8);
    assert.equal(secondsUntil(0.8, 60), 10);
    assert.equal(secondsUntil(0.79, 600), 0);
  });

  test("isTooMuch() forgets what is older than ten seconds", () => {
    const meter = new PauseMeter();
    for (let count = 0; count < 400; count++) {
      // Paused for 7 s, then free for 4 s.
      const cycles = Math.floor(count / 44);
      const pausedMs = cycles * 7_000 + Math.min(7_000, (count % 44) * 250);
      assert.equal(meter.isTooMuch(count * 250, pausedMs), false, `${count}`);
    }
  });

  test("isTooMuch() begins anew after it said so", () => {
    const meter = new PauseMeter();
    let said = 0;
    for (let count = 0; count <= 100; count++)
      if (meter.isTooMuch(count * 250, count * 250)) said++;
    assert.equal(said, 3);
  });

  test("isTooMuch() never holds more against anybody than there was, however late the sweeps are", () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.integer({ min: 1, max: 4_000 }), fc.boolean()), { maxLength: 200 }),
        (steps) => {
          const meter = new PauseMeter();
          const spans: { from: number; to: number }[] = [];
          let nowMs = 0;
          let totalMs = 0;
          meter.isTooMuch(0, 0);
          for (const [stepMs, isPaused] of steps) {
            if (isPaused) {
              spans.push({ from: nowMs, to: nowMs + stepMs });
              totalMs += stepMs;
            }
            nowMs += stepMs;
            if (!meter.isTooMuch(nowMs, totalMs)) continue;
            const since = nowMs - 10_000;
            const pausedMs = spans.reduce(
              (sum, { from, to }) => sum + Math.max(0, to - Math.max(from, since)),
              0,
            );
            assert.ok(pausedMs >= 8_000, `${pausedMs} ms`);
            return;
          }
        },
      ),
    );
  });
});

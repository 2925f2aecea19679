import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { manualClock } from "@tidegate/clock";
import { createAttemptBackOff } from "./attempt-back-off.ts";

describe("attempt back-off", () => {
  test("charge() lets three attempts pass, then makes the pair wait twice as long each time, five minutes at most", () => {
    const clock = manualClock(0);
    const backOff = createAttemptBackOff(clock);
    const waits = Array.from({ length: 14 }, () => {
      backOff.charge("a");
      const waitMs = backOff.waitMs("a");
      clock.advance(waitMs);
      assert.equal(backOff.waitMs("a"), 0);
      return waitMs / 1_000;
    });
    assert.deepEqual(waits, [0, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]);
  });

  test("charge() forgives one failure in ten minutes", () => {
    const clock = manualClock(0);
    const backOff = createAttemptBackOff(clock);
    for (let i = 0; i < 4; i++) backOff.charge("a");
    clock.advance(2 * 600_000);
    backOff.charge("a");
    assert.equal(backOff.waitMs("a"), 1_000); // the third again
    clock.advance(10 * 600_000);
    backOff.charge("a");
    assert.equal(backOff.waitMs("a"), 0);
  });

  test("charge() keeps the table bounded", () => {
    const backOff = createAttemptBackOff(manualClock(0));
    for (let i = 0; i < 10_500; i++) backOff.charge(`pair ${i}`);
    assert.equal(backOff.size, 10_000);
  });
});

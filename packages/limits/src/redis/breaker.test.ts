import assert from "node:assert/strict";
import { test } from "node:test";
import { Breaker } from "./breaker.ts";

test("fail() opens after five failures in a row, and succeed() begins the count anew", () => {
  const breaker = new Breaker(() => 1);
  for (let failure = 0; failure < 4; failure++) assert.equal(breaker.fail(0), false);
  breaker.succeed();
  for (let failure = 0; failure < 4; failure++) assert.equal(breaker.fail(0), false);
  assert.equal(breaker.isOpen, false);
  assert.equal(breaker.fail(0), true);
  assert.equal(breaker.isOpen, true);
});

test("mayProbe() waits twice as long after each probe that failed, a second at most", () => {
  const breaker = new Breaker(() => 1);
  const waits: number[] = [];
  let nowMs = 0;
  breaker.trip(nowMs);
  for (let probe = 0; probe < 6; probe++) {
    const sinceMs = nowMs;
    while (!breaker.mayProbe(nowMs)) nowMs += 10;
    waits.push(nowMs - sinceMs);
    assert.equal(breaker.fail(nowMs), true);
  }
  assert.deepEqual(waits, [100, 200, 400, 800, 1_000, 1_000]);
  breaker.succeed();
  assert.equal(breaker.mayProbe(nowMs + 10_000), false);
});

test("trip() takes a part of its wait by chance, so that many nodes do not probe at once", () => {
  const breaker = new Breaker(() => 0);
  breaker.trip(0);
  assert.equal(breaker.mayProbe(49), false);
  assert.equal(breaker.mayProbe(50), true);
});

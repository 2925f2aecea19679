import assert from "node:assert/strict";
import { test } from "node:test";
import { manualClock } from "@tidegate/clock";
import { SignInPace } from "./sign-in-pace.ts";

/** Lets promises that are settled run on. */
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test("turn() lets 60 pass at once, slows further ones of that network by at most 5 s, and nobody else", async () => {
  const clock = manualClock(0);
  const pace = new SignInPace(clock);
  for (let turn = 0; turn < 60; turn++) assert.equal(await pace.turn("192.0.2.1"), true);
  const passed: number[] = [];
  for (let turn = 0; turn < 30; turn++)
    void pace.turn("192.0.2.1").then(() => passed.push(clock.monotonicMs()));
  await settle();
  assert.deepEqual(passed, []);
  assert.equal(await pace.turn("192.0.2.2"), true);
  for (let step = 0; step < 10; step++) {
    clock.advance(500);
    await settle();
  }
  assert.equal(passed.length, 30, "nobody waits longer than five seconds");
  assert.equal(passed[0], 500);
  assert.ok(passed.every((atMs, index) => index === 0 || atMs >= (passed[index - 1] ?? 0)));
  // What was spent comes back, one in half a second, and an attack is over when it is over.
  clock.advance(40_000);
  for (let turn = 0; turn < 60; turn++) assert.equal(await pace.turn("192.0.2.1"), true);
});

test("turn() says so when too many wait, and remembers a bounded number of networks", async () => {
  const clock = manualClock(0);
  const pace = new SignInPace(clock);
  for (let turn = 0; turn < 60; turn++) await pace.turn("192.0.2.1");
  const waiting = Array.from({ length: 500 }, () => pace.turn("192.0.2.1"));
  assert.equal(await pace.turn("192.0.2.1"), false);
  clock.advance(5_000);
  assert.equal((await Promise.all(waiting)).every(Boolean), true);
  for (let network = 0; network < 20_000; network++) await pace.turn(`network ${network}`);
  // Forgotten by now, so with a full allowance.
  assert.equal(await pace.turn("192.0.2.1"), true);
});

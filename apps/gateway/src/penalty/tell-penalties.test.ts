import assert from "node:assert/strict";
import { test } from "node:test";
import { manualClock } from "@tidegate/clock";
import { penaltyTeller } from "./tell-penalties.ts";

test("penaltyTeller() tells the first change at once, and what follows together, never losing the last", async () => {
  const clock = manualClock(0);
  let told = 0;
  const changed = penaltyTeller(() => {
    told++;
    return Promise.resolve();
  }, clock);
  const settle = async (): Promise<void> => {
    for (let turn = 0; turn < 5; turn++) await Promise.resolve();
  };
  changed();
  assert.equal(told, 1);
  await settle();
  for (let count = 0; count < 1_000; count++) changed();
  assert.equal(told, 1);
  clock.advance(50);
  assert.equal(told, 2);
  await settle();
  clock.advance(1_000);
  assert.equal(told, 2);
  changed();
  assert.equal(told, 3);
});

test("penaltyTeller() waits for the slowest thread, and tells again what it may have missed", async () => {
  const clock = manualClock(0);
  let told = 0;
  let acknowledge = (): void => {};
  const changed = penaltyTeller(() => {
    told++;
    return new Promise((resolve) => (acknowledge = resolve));
  }, clock);
  changed();
  changed();
  clock.advance(4_000);
  assert.equal(told, 1);
  acknowledge();
  for (let turn = 0; turn < 5; turn++) await Promise.resolve();
  clock.advance(50);
  assert.equal(told, 2);
});

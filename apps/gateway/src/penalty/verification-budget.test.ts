import assert from "node:assert/strict";
import { test } from "node:test";
import { manualClock } from "@tidegate/clock";
import { VerificationBudget } from "./verification-budget.ts";

test("take() gives an address 20 checks at once and 10 per second, and leaves others theirs", () => {
  const clock = manualClock(0);
  const budget = new VerificationBudget(clock);
  const taken = (network: string, tries: number): number =>
    Array.from({ length: tries }, () => budget.take(network)).filter(Boolean).length;
  assert.equal(taken("192.0.2.1", 1_000), 20);
  assert.equal(taken("192.0.2.2", 5), 5);
  clock.advance(1_000);
  assert.equal(taken("192.0.2.1", 1_000), 10);
  clock.advance(3_600_000);
  assert.equal(taken("192.0.2.1", 1_000), 20);
});

test("take() remembers who spent theirs through a flood of 4,000 other addresses", () => {
  const budget = new VerificationBudget(manualClock(0));
  for (let tries = 0; tries < 20; tries++) budget.take("192.0.2.1");
  for (let number = 0; number < 4_000; number++) budget.take(`198.51.${number}`);
  assert.equal(budget.take("192.0.2.1"), false);
});

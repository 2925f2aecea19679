import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ToldCallers } from "./told-callers.ts";

describe("ToldCallers", () => {
  test("has() knows a caller for 60 s from when they were told, and nobody else", () => {
    const told = new ToldCallers();
    told.add("0 ada", 1_000);
    assert.equal(told.has("0 ada", 60_999), true);
    assert.equal(told.has("1 ada", 1_000), false);
    assert.equal(told.has("0 grace", 1_000), false);
    assert.equal(told.has("0 ada", 61_000), false);
    told.add("0 ada", 61_000);
    assert.equal(told.has("0 ada", 120_999), true);
  });

  test("a flood of callers with long names takes bounded memory, and forgets the oldest alone", () => {
    const told = new ToldCallers();
    const name = (count: number): string => `0 ${"x".repeat(4_096)}${count}`;
    for (let count = 0; count < 20_000; count++) told.add(name(count), count / 1_000);
    assert.equal(told.size, 16_384);
    assert.equal(told.has(name(0), 20), false);
    assert.equal(told.has(name(20_000 - 16_384), 20), true);
    assert.equal(told.has(name(20_000 - 16_385), 20), false);
    assert.equal(told.has(name(19_999), 20), true);
  });

  test("add() lets go of those whose time is over", () => {
    const told = new ToldCallers();
    for (let count = 0; count < 100; count++) told.add(`${count}`, count);
    told.add("late", 60_049);
    assert.equal(told.size, 51);
  });
});

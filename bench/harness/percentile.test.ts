import assert from "node:assert/strict";
import { test } from "node:test";
import { interleave } from "./interleave.ts";
import { median, percentile } from "./percentile.ts";
import { faultsOfResult } from "./result.ts";

test("percentile() is the nearest rank, and no number where nothing was measured", () => {
  const hundred = Array.from({ length: 100 }, (_, index) => index + 1);
  assert.equal(percentile(hundred, 50), 50);
  assert.equal(percentile(hundred, 99), 99);
  assert.equal(percentile(hundred, 99.9), 100);
  assert.equal(percentile([7], 99), 7);
  assert.ok(Number.isNaN(percentile([], 50)));
});

test("median() takes values in any order", () => {
  assert.equal(median([3, 1, 2]), 2);
  assert.equal(median([4, 1, 3, 2]), 2.5);
  assert.ok(Number.isNaN(median([])));
});

test("interleave() measures each once a round and lets another one begin each time", async () => {
  const order: string[] = [];
  const values = await interleave(["a", "b", "c"], 3, (name, round) => {
    order.push(name);
    return Promise.resolve(round);
  });
  assert.equal(order.join(""), "abcbcacab");
  assert.deepEqual(values.get("b"), [0, 1, 2]);
});

test("faultsOfResult() names what a last line lacks", () => {
  assert.deepEqual(faultsOfResult("All done.", "x"), ["it is not JSON"]);
  assert.deepEqual(faultsOfResult("[]", "x").length > 0, true);
  const good = {
    question: "x",
    ours: 1,
    peers: { a: 2 },
    ratio: { a: 0.5 },
    unit: "µs",
    checked: true,
    machine: {},
    versions: {},
  };
  assert.deepEqual(faultsOfResult(JSON.stringify(good), "x"), []);
  assert.deepEqual(faultsOfResult(JSON.stringify(good), "y"), ['"question" is not "y"']);
  const spoilt = { ...good, ratio: { a: Number.NaN }, checked: false };
  assert.equal(faultsOfResult(JSON.stringify(spoilt), "x").length, 2);
});

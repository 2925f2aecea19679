import assert from "node:assert/strict";
import { test } from "node:test";
import { DataThreads } from "./data-threads.ts";

test("DataThreads without workers: a question is a call, and so is what is told", async () => {
  const dataThreads = new DataThreads();
  dataThreads.answer("double", (payload) => (payload as number) * 2);
  dataThreads.answer("fail", () => {
    throw new Error("as planned");
  });
  await dataThreads.tell("nobody listens yet", undefined, 1_000);
  const main = dataThreads.join();
  const heard: unknown[] = [];
  main.whenTold("news", (payload) => void heard.push(payload));
  assert.equal(await main.ask("double", 21, 1_000), 42);
  await assert.rejects(main.ask("fail", undefined, 1_000), /as planned/);
  await assert.rejects(main.ask("unknown", undefined, 1_000), /nobody answers/);
  await dataThreads.tell("news", 1, 1_000);
  assert.deepEqual(heard, [1]);
  assert.throws(() => dataThreads.answer("double", () => 0), /twice/);
});

import { test } from "node:test";
import { endThreads } from "./thread-runs.ts";

test("200 threads ended in the middle of anything leave no key stuck and no limit exceeded", async () => {
  await endThreads({ lives: 100 });
});

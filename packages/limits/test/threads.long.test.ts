import { test } from "node:test";
import { endHolders, endThreads } from "./thread-runs.ts";

test("200 threads ended in the middle of anything leave no key stuck and no limit exceeded", async () => {
  await endThreads({ lives: 100 });
});

test("200 threads ended at any step of a holder free what they held and never more", async () => {
  await endHolders({ lives: 100 });
});

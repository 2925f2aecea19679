import assert from "node:assert/strict";
import { test } from "node:test";
import { manualClock } from "@tidegate/clock";
import { createLogger } from "./logger.ts";
import { stopInStages, type Stages } from "./process-life.ts";

function recorded(finish: () => Promise<void>): { stages: Stages; steps: string[] } {
  const steps: string[] = [];
  const note = (step: string) => (): void => void steps.push(step);
  return {
    steps,
    stages: {
      drain: note("drain"),
      finish,
      cut: note("cut"),
      flush: async () => void steps.push("flush"),
    },
  };
}

const logger = createLogger({ service: "test", level: "silent" });

test("stopInStages() cuts at the deadline what does not finish, and flushes all the same", async () => {
  const clock = manualClock(0);
  const { stages, steps } = recorded(() => new Promise(() => undefined));
  const stopping = stopInStages(stages, { clock, logger, deadlineMs: 1_000 });
  clock.advance(999);
  assert.deepEqual(steps, ["drain"]);
  clock.advance(1);
  assert.equal(await stopping, false);
  assert.deepEqual(steps, ["drain", "cut", "flush"]);
});

test("stopInStages() goes on at once when all is finished, and leaves no timer", async () => {
  const clock = manualClock(0);
  const { stages, steps } = recorded(async () => undefined);
  assert.equal(await stopInStages(stages, { clock, logger }), true);
  assert.deepEqual(steps, ["drain", "cut", "flush"]);
  assert.equal(clock.pendingTimers, 0);
});

test("stopInStages() flushes even when finishing fails", async () => {
  const { stages, steps } = recorded(async () => {
    throw new Error("broken");
  });
  assert.equal(await stopInStages(stages, { clock: manualClock(0), logger }), false);
  assert.deepEqual(steps, ["drain", "cut", "flush"]);
});

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import * as fc from "fast-check";
import type { Call } from "../judge/call.ts";
import type { Outcome, Policy } from "../judge/policy.ts";
import { createRefusal } from "../judge/refusal.ts";
import { REASON } from "../judge/reason.ts";
import { VERDICT, type Verdict } from "../judge/verdict.ts";
import { Asking, PendingVerdict } from "./pending-verdict.ts";

/** What was said to a policy about a call, and whether its owner was told to go on. */
function watch(verdict: Promise<Verdict>) {
  const released: Outcome[] = [];
  const policy: Policy = {
    stage: "principal",
    judge: () => VERDICT.admit,
    release: (_call, outcome) => void released.push(outcome),
  };
  const asking = new Asking();
  const { signal } = asking;
  const refusal = createRefusal();
  let settled = 0;
  const pending = new PendingVerdict(verdict, {
    call: {} as Call,
    policies: [policy],
    refusal,
    abort: asking.abort,
    deadlineMs: 0,
    settled: () => void (settled += 1),
  });
  return { pending, released, refusal, signal, settled: () => settled };
}

describe("PendingVerdict", () => {
  test("gives back what was admitted exactly once when it is stopped, before or after the answer", async () => {
    const verdicts = fc.constantFrom(VERDICT.admit, VERDICT.throttle, VERDICT.unavailable);
    await fc.assert(
      fc.asyncProperty(verdicts, fc.boolean(), async (verdict, isStoppedFirst) => {
        const answer = Promise.withResolvers<Verdict>();
        const { pending, released, signal, settled } = watch(answer.promise);
        if (isStoppedFirst) pending.stop();
        answer.resolve(verdict);
        await pending.over;
        if (!isStoppedFirst) pending.stop();
        assert.deepEqual(released, verdict === VERDICT.admit ? ["refused-later"] : []);
        assert.equal(settled(), isStoppedFirst ? 0 : 1);
        // Who has answered needs not be told that nobody waits.
        assert.equal(signal.aborted, isStoppedFirst);
      }),
      { numRuns: 30 },
    );
  });

  test("take() leaves what was admitted to its taker, and is a mistake before the answer", async () => {
    const answer = Promise.withResolvers<Verdict>();
    const { pending, released } = watch(answer.promise);
    assert.ok(pending.isOpen);
    assert.throws(() => pending.take());
    answer.resolve(VERDICT.admit);
    await pending.over;
    assert.ok(!pending.isOpen);
    assert.equal(pending.take(), VERDICT.admit);
    assert.deepEqual(released, []);
  });

  test("a policy that throws lets nothing pass", async () => {
    const { pending, released, refusal } = watch(Promise.reject(new Error("a mistake of ours")));
    await pending.over;
    assert.equal(pending.take(), VERDICT.shed);
    assert.equal(refusal.reason, REASON.overloaded);
    assert.deepEqual(released, []);
  });
});

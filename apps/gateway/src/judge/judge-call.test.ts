import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Call } from "./call.ts";
import { commitCall, judgeCall, releaseCall } from "./judge-call.ts";
import type { Policy } from "./policy.ts";
import { createRefusal } from "./refusal.ts";
import { PENDING, VERDICT, type Verdict } from "./verdict.ts";

const call = {} as Call;

/** Policies that write down what they are told, in order. */
function policies(...verdicts: readonly (Verdict | { readonly later: Verdict })[]) {
  const told: string[] = [];
  const signals: AbortSignal[] = [];
  const all = verdicts.map((verdict, at): Policy => ({
    stage: "principal",
    judge() {
      told.push(`judge ${at}`);
      return typeof verdict === "number" ? verdict : PENDING;
    },
    ...(typeof verdict === "number"
      ? {}
      : {
          pending(_call: Call, _refusal: unknown, signal: AbortSignal) {
            told.push(`pending ${at}`);
            signals.push(signal);
            return Promise.resolve(verdict.later);
          },
        }),
    commit: () => void told.push(`commit ${at}`),
    release: (_call, outcome) => void told.push(`release ${at} ${outcome}`),
  }));
  return { all, told, signals };
}

const { admit, throttle, forbid } = VERDICT;

describe("judgeCall()", () => {
  test("gives back what was admitted before a refusal, the latest first, and asks nobody after it", () => {
    const { all, told } = policies(admit, admit, throttle, admit);
    const refusal = createRefusal();
    assert.equal(judgeCall(all, call, refusal), throttle);
    assert.equal(refusal.policyIndex, 2);
    assert.deepEqual(told, [
      "judge 0",
      "judge 1",
      "judge 2",
      "release 1 refused-later",
      "release 0 refused-later",
    ]);
  });

  test("gives back the same when the refusal took a wait, whoever waited", async () => {
    const { all, told } = policies(admit, { later: admit }, { later: forbid }, admit);
    const refusal = createRefusal();
    assert.equal(await judgeCall(all, call, refusal), forbid);
    assert.equal(refusal.policyIndex, 2);
    assert.deepEqual(told, [
      "judge 0",
      "judge 1",
      "pending 1",
      "judge 2",
      "pending 2",
      "release 1 refused-later",
      "release 0 refused-later",
    ]);
  });

  test("asks each policy once, and waits only where one must", async () => {
    const at = policies(admit, admit);
    assert.equal(judgeCall(at.all, call, createRefusal()), admit);
    assert.deepEqual(at.told, ["judge 0", "judge 1"]);
    assert.equal(judgeCall([], call, createRefusal()), admit);

    const waiting = policies({ later: admit }, admit);
    const verdict = judgeCall(waiting.all, call, createRefusal());
    assert.ok(verdict instanceof Promise);
    assert.equal(await verdict, admit);
    assert.deepEqual(waiting.told, ["judge 0", "pending 0", "judge 1"]);
  });

  test("hands the caller's signal to who waits, and one that never ends where there is no caller", async () => {
    const { all, signals } = policies({ later: admit });
    const { signal } = new AbortController();
    await judgeCall(all, call, createRefusal(), { signal });
    await judgeCall(all, call, createRefusal());
    assert.equal(signals[0], signal);
    assert.equal(signals[1]?.aborted, false);
  });

  test("rejects when a policy is pending and has no end", async () => {
    const endless: Policy = { stage: "principal", judge: () => PENDING };
    await assert.rejects(async () => judgeCall([endless], call, createRefusal()), /pending/);
  });
});

test("releaseCall() tells the first so many, the latest first; commitCall() tells all", () => {
  const { all, told } = policies(admit, admit, admit);
  releaseCall(all, 2, call, "failed");
  commitCall(all, call);
  assert.deepEqual(told, [
    "release 1 failed",
    "release 0 failed",
    "commit 0",
    "commit 1",
    "commit 2",
  ]);
});

import type { Call } from "./call.ts";
import type { Outcome, Policy } from "./policy.ts";
import type { Refusal } from "./refusal.ts";
import { PENDING, VERDICT, type Verdict } from "./verdict.ts";

/**
 * Walks a list of policies in order. When one refuses, those that admitted before it are told
 * `refused-later`. Allocates nothing unless a policy has to wait.
 *
 * @param caller its `signal` is aborted when the caller is gone; read only when a policy waits
 * @returns a promise only when a policy has to wait
 */
export function judgeCall(
  policies: readonly Policy[],
  call: Call,
  refusal: Refusal,
  caller?: { readonly signal: AbortSignal },
): Verdict | Promise<Verdict> {
  for (let index = 0; index < policies.length; index++) {
    const policy = policies[index] as Policy;
    const verdict = policy.judge(call, refusal);
    if (verdict === VERDICT.admit) continue;
    if (verdict === PENDING)
      return judgeRest(policies, index, { call, refusal, signal: caller?.signal });
    refuse(policies, index, call, refusal);
    return verdict;
  }
  return VERDICT.admit;
}

/** Tells the first `count` policies, which all admitted the call, how it ended; the latest first. */
export function releaseCall(
  policies: readonly Policy[],
  count: number,
  call: Call,
  outcome: Outcome,
): void {
  for (let index = count - 1; index >= 0; index--) policies[index]?.release?.(call, outcome);
}

/** Tells all policies that every stage admitted the call. */
export function commitCall(policies: readonly Policy[], call: Call): void {
  for (let index = 0; index < policies.length; index++) policies[index]?.commit?.(call);
}

async function judgeRest(
  policies: readonly Policy[],
  start: number,
  { call, refusal, signal }: { call: Call; refusal: Refusal; signal: AbortSignal | undefined },
): Promise<Verdict> {
  const waitSignal = signal ?? NEVER_ABORTED;
  for (let index = start; index < policies.length; index++) {
    const policy = policies[index] as Policy;
    // The policy at `start` has been asked already and said that it must wait.
    let verdict: Verdict | typeof PENDING | undefined =
      index === start ? PENDING : policy.judge(call, refusal);
    if (verdict === PENDING) verdict = await policy.pending?.(call, refusal, waitSignal);
    if (verdict === undefined) throw new Error("Cannot judge: a policy is pending without an end");
    if (verdict === VERDICT.admit) continue;
    refuse(policies, index, call, refusal);
    return verdict;
  }
  return VERDICT.admit;
}

const NEVER_ABORTED = new AbortController().signal;

function refuse(policies: readonly Policy[], index: number, call: Call, refusal: Refusal): void {
  refusal.policyIndex = index;
  releaseCall(policies, index, call, "refused-later");
}

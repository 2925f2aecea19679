import type { Call } from "../judge/call.ts";
import { releaseCall } from "../judge/judge-call.ts";
import type { Policy } from "../judge/policy.ts";
import { refuseWith, type Refusal } from "../judge/refusal.ts";
import { REASON } from "../judge/reason.ts";
import { VERDICT, type Verdict } from "../judge/verdict.ts";

/** Says to policies that wait that nobody wants their answer any more. Made whole only when one waits for the first time. */
export class Asking {
  #controller: AbortController | undefined;

  get signal(): AbortSignal {
    this.#controller ??= new AbortController();
    return this.#controller.signal;
  }

  readonly abort = (): void => this.#controller?.abort();
}

/**
 * The verdict about one held message, until it is used: by `take`, or by `stop` when the socket ends first. Whatever comes
 * first, what the policies have booked is spent or given back exactly once.
 */
export class PendingVerdict {
  readonly deadlineMs: number;
  /** Resolves when no policy is at work any more: until then they may use what their session has. Never rejects. */
  readonly over: Promise<void>;
  readonly #call: Call;
  readonly #policies: readonly Policy[];
  readonly #abort: () => void;
  #verdict: Verdict | undefined;
  #isStopped = false;

  /** @param options `call` must stay as it is until the verdict is taken or stopped, and longer if it is stopped before it came */
  constructor(
    verdict: Promise<Verdict>,
    options: {
      readonly call: Call;
      readonly policies: readonly Policy[];
      readonly refusal: Refusal;
      /** Tells the policies that nobody waits any more. */
      readonly abort: () => void;
      /** Monotonic. For the owner. */
      readonly deadlineMs: number;
      /** Not called after `stop`. */
      readonly settled: () => void;
    },
  ) {
    this.deadlineMs = options.deadlineMs;
    this.#call = options.call;
    this.#policies = options.policies;
    this.#abort = options.abort;
    this.over = verdict.then(
      (settled) => this.#settle(settled, options.settled),
      () => {
        // A policy that throws is a mistake of ours. It has admitted nothing, and nothing passes.
        if (!this.#isStopped) refuseWith(options.refusal, REASON.overloaded);
        this.#settle(VERDICT.shed, options.settled);
      },
    );
  }

  /** Whether the answer is still to come. */
  get isOpen(): boolean {
    return this.#verdict === undefined;
  }

  /** The verdict, which must be there: the message is on its way, or refused. */
  take(): Verdict {
    if (this.#verdict === undefined) throw new Error("Cannot use a verdict before it is there");
    return this.#verdict;
  }

  /** The message will not pass, whatever is said about it. */
  stop(): void {
    this.#isStopped = true;
    if (this.#verdict === undefined) this.#abort();
    else this.#giveBack(this.#verdict);
  }

  #settle(verdict: Verdict, settled: () => void): void {
    this.#verdict = verdict;
    if (this.#isStopped) this.#giveBack(verdict);
    else settled();
  }

  #giveBack(verdict: Verdict): void {
    if (verdict !== VERDICT.admit) return;
    releaseCall(this.#policies, this.#policies.length, this.#call, "refused-later");
  }
}

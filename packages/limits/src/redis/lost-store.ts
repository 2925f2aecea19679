import type { Clock, Random } from "@tidegate/clock";
import { createLimiter } from "../create-limiter.ts";
import {
  createLimitReport,
  MAX_LIMITS_AT_ONCE,
  NO_HANDLE,
  OUTCOME,
  type Limiter,
} from "../limiter.ts";
import type { LeaseAccount } from "./lease-account.ts";
import type { SharedPlan } from "./shared-plan.ts";

/** What a limit's calls get while the store is lost and no lease covers them. */
export const WHILE_LOST = { pass: 0, here: 1, deny: 2 } as const;

/** What this node decides alone while the store is lost: `share` and `local` have a limiter of their own in memory. */
export class LostStore {
  readonly #limiter: Limiter | undefined;
  readonly #indexes = new Map<SharedPlan, number>();
  readonly #handles = new Int32Array(MAX_LIMITS_AT_ONCE);
  readonly #costs = new Int32Array(MAX_LIMITS_AT_ONCE);
  readonly #report = createLimitReport();
  /** Positions of the call that the entries above are for. */
  readonly #positions = new Int32Array(MAX_LIMITS_AT_ONCE);
  #count = 0;
  readonly decided = { deny: 0, share: 0, local: 0, open: 0 };

  constructor(
    plans: Iterable<SharedPlan>,
    options: { readonly random: Random; readonly clock: Clock },
  ) {
    const definitions = [];
    for (const plan of plans) {
      if (plan.fallback === undefined) continue;
      this.#indexes.set(plan, definitions.length);
      definitions.push(plan.fallback);
    }
    this.#limiter =
      definitions.length === 0 ? undefined : createLimiter({ definitions, ...options });
  }

  begin(): void {
    this.#count = 0;
  }

  /** Says how the call at `position` is decided, and notes it for `acquire` if that is `here`. */
  consider(account: LeaseAccount, cost: number, position: number): number {
    const { plan } = account;
    this.decided[plan.whenStoreLost]++;
    if (plan.whenStoreLost === "open") return WHILE_LOST.pass;
    const index = this.#indexes.get(plan);
    if (index === undefined || this.#limiter === undefined) return WHILE_LOST.deny;
    if (account.fallbackHandle === NO_HANDLE)
      account.fallbackHandle = this.#limiter.intern(index, account.caller);
    this.#handles[this.#count] = account.fallbackHandle;
    this.#costs[this.#count] = cost;
    this.#positions[this.#count] = position;
    this.#count++;
    return WHILE_LOST.here;
  }

  /** Takes all that were noted, or none. @returns the position that refused, -1 when admitted; `retryAfterMs` says when to come back */
  acquire(nowMs: number): number {
    if (this.#count === 0 || this.#limiter === undefined) return -1;
    const report = this.#report;
    const outcome = this.#limiter.acquire(this.#handles, this.#costs, this.#count, nowMs, report);
    if (outcome === OUTCOME.admitted) return -1;
    return this.#positions[report.violated[0]!]!;
  }

  get retryAfterMs(): number {
    return Number.isFinite(this.#report.retryAfterMs) ? this.#report.retryAfterMs : 1_000;
  }

  forget(account: LeaseAccount): void {
    if (account.fallbackHandle !== NO_HANDLE) this.#limiter?.release(account.fallbackHandle);
    account.fallbackHandle = NO_HANDLE;
  }

  sweep(nowMs: number, maxRecords: number): void {
    this.#limiter?.sweep(nowMs, maxRecords);
  }
}

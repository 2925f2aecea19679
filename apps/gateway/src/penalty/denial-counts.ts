import { OUTCOME, createLimitReport, type LimitDefinition, type Limiter } from "@tidegate/limits";

/**
 * Counts what limits refuse, for each limit and caller, within the limit's own window: past max(3 × limit, 30) refusals
 * the next one is a strike. Being over a limit now and then is ordinary; going on regardless is not.
 *
 * The counts are limits themselves, in a limiter that all threads share, so they are exact over all of them and bounded.
 */
export class DenialCounts {
  readonly #limiter: Limiter;
  readonly #indexes: readonly number[];
  readonly #handles = new Int32Array(1);
  readonly #costs = new Int32Array(1);
  /** What a refusal counts at most, by limit: so that no few of them are a strike, however large. */
  readonly #mostBytes: readonly number[];
  readonly #report = createLimitReport();

  /**
   * @param limits what is limited
   * @param limiter over `denialDefinitionsOf(limits)`
   */
  constructor(limits: readonly LimitDefinition[], limiter: Limiter) {
    this.#limiter = limiter;
    this.#mostBytes = limits.map((limit) =>
      Math.max(1, Math.floor((REFUSALS_PER_UNIT * windowOf(limit).capacity) / FEWEST_REFUSALS)),
    );
    let index = 0;
    this.#indexes = limits.map((limit) => (toDenialDefinition(limit) === undefined ? -1 : index++));
  }

  /**
   * One more refusal. @returns whether it is one too many
   * @param limitIndex position in `limits`
   * @param caller who was refused, and since when it is counted
   * @param refusal.bytes what was refused by a limit that counts bytes; then those are counted, and still more than 30
   *   refusals are a strike and no fewer
   */
  add(
    limitIndex: number,
    caller: string,
    { nowMs, bytes = 1 }: { readonly nowMs: number; readonly bytes?: number },
  ): boolean {
    const index = this.#indexes[limitIndex] ?? -1;
    if (index < 0) return false;
    this.#costs[0] = Math.max(1, Math.min(bytes, this.#mostBytes[limitIndex] ?? 1));
    const limiter = this.#limiter;
    const handle = limiter.intern(index, caller);
    this.#handles[0] = handle;
    const now = Math.floor(nowMs);
    const outcome = limiter.acquire(this.#handles, this.#costs, 1, now, this.#report);
    limiter.release(handle);
    limiter.sweep(now, RECLAIMED_AT_ONCE);
    return outcome === OUTCOME.refused && !this.#isShared(index, caller);
  }

  /** In a full table callers share a count: what others did is no strike for this one. */
  #isShared(index: number, caller: string): boolean {
    const limiter = this.#limiter;
    const spills = (): number => limiter.statistics().limits[index]?.spills ?? 0;
    const before = spills();
    const handle = limiter.intern(index, caller);
    this.#handles[0] = handle;
    limiter.peek(this.#handles, this.#costs, 1, 0, this.#report);
    limiter.release(handle);
    return spills() !== before;
  }
}

/** The limits of refusals: one for each limit that can be counted, in their order. */
export function denialDefinitionsOf(limits: readonly LimitDefinition[]): LimitDefinition[] {
  return limits.flatMap((limit) => toDenialDefinition(limit) ?? []);
}

/** @returns undefined when so many refusals cannot be counted, and no strike comes of them */
function toDenialDefinition(limit: LimitDefinition): LimitDefinition | undefined {
  const { capacity, seconds } = windowOf(limit);
  const most = Math.max(REFUSALS_PER_UNIT * capacity, FEWEST_REFUSALS);
  if (most > MOST_COUNTED) return undefined;
  const isExact = most <= MOST_EXACT;
  return {
    kind: "window",
    name: limit.name,
    limit: most,
    // Sub-windows remember a 32nd too long, which would make strikes of refusals older than the window.
    seconds: isExact ? seconds : seconds * (32 / 33),
    precision: isExact ? "exact" : "sub-windows",
    maxKeys: MAX_CALLERS,
  };
}

/** What a caller may have at once, and how long it takes until all of it is back. */
function windowOf(limit: LimitDefinition): { capacity: number; seconds: number } {
  switch (limit.kind) {
    case "bucket": {
      const seconds = (limit.burst * limit.seconds) / limit.count;
      return { capacity: limit.burst, seconds: Math.max(SHORTEST_REFILL_SECONDS, seconds) };
    }
    case "window":
      return { capacity: limit.limit, seconds: limit.seconds };
    case "quota":
      return { capacity: limit.limit, seconds: PERIOD_SECONDS[limit.period] };
    case "concurrency":
      return { capacity: limit.limit, seconds: SHORTEST_REFILL_SECONDS };
  }
}

const REFUSALS_PER_UNIT = 3;
const FEWEST_REFUSALS = 30;
const SHORTEST_REFILL_SECONDS = 10;
const PERIOD_SECONDS = { minute: 60, hour: 3_600, day: 86_400, week: 604_800, month: 2_678_400 };
/** Looked at with each refusal, so that what is over makes room before the table is full. */
const RECLAIMED_AT_ONCE = 16;
const MOST_COUNTED = 2 ** 31 - 1;
/** 4 bytes each. */
const MOST_EXACT = 256;
/** At most 17 MB for each limit, committed as it is used. Further callers share a count, and get no strikes from it. */
const MAX_CALLERS = 16_384;

import type { Clock, Random } from "@tidegate/clock";
import { callerKey } from "../caller-key.ts";
import { createLimiter } from "../create-limiter.ts";
import type { EmbeddedLimiter } from "../embedded-limiter.ts";
import type { LimitDefinition } from "../limit-definition.ts";
import {
  createLimitReport,
  createReservation,
  MAX_LIMITS_AT_ONCE,
  OUTCOME,
  type LimitReport,
  type Outcome,
  type Reservation,
} from "../limiter.ts";
import {
  toLegacyFields,
  toLimitField,
  toPolicyField,
  toRateLimitPolicy,
  toRetryAfterSeconds,
  toViolatedPolicies,
  type RateLimitPolicy,
} from "../rate-limit-fields.ts";
import { toDefinition, type CallLimit, type Refusal } from "./call-limit.ts";
import { HeldSlots } from "./held-slots.ts";

/** What became of one call at the gate. */
export interface Passage {
  /** Undefined when admitted. */
  readonly refusal: Refusal | undefined;
  /** Response fields; empty when no limit asked. */
  readonly fields: Readonly<Record<string, string>>;
  /** Somebody must call `end`: units may come back, or slots are held until then. */
  readonly isOpen: boolean;
  /** Slots of a concurrency limit are held until `end`. */
  readonly holdsSlots: boolean;
  /**
   * The call is over. Only the first time counts.
   * @param status what it was answered with; undefined when nobody knows or the client left: nothing is given back then
   */
  end(status: number | undefined): void;
}

/** All limits of one adapter in one engine: each call is admitted by all that ask it, or spends nothing. */
export class CallGate<Call> {
  readonly #limits: readonly CallLimit<Call>[];
  readonly #policies: readonly RateLimitPolicy[];
  readonly #limiter: EmbeddedLimiter;
  readonly #slots: HeldSlots;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #withLegacyFields: boolean;

  // The call in progress, by position.
  readonly #asked: number[] = [];
  readonly #keys: string[] = [];
  readonly #handles = new Int32Array(MAX_LIMITS_AT_ONCE);
  readonly #costs = new Int32Array(MAX_LIMITS_AT_ONCE);
  readonly #ones = new Int32Array(MAX_LIMITS_AT_ONCE).fill(1);
  readonly #report = createLimitReport();

  /** @throws {RangeError} naming every limit that cannot be honoured */
  constructor(options: {
    readonly limits: readonly CallLimit<Call>[];
    readonly clock: Clock;
    readonly random: Random;
    readonly withLegacyFields: boolean;
  }) {
    const { limits, clock, random } = options;
    this.#limits = limits;
    this.#policies = limits.map((limit) => toRateLimitPolicy(limit, limit.unit));
    this.#limiter = createLimiter({ definitions: limits.map(toDefinition), random, clock });
    this.#slots = new HeldSlots(this.#limiter, limits, clock);
    this.#clock = clock;
    this.#random = random;
    this.#withLegacyFields = options.withLegacyFields;
  }

  /** @param positions of the limits that ask this call, among all; checked by `checkSet` */
  ask(call: Call, positions: readonly number[]): Passage {
    // Keys and costs are all known before the engine is touched: what their functions throw leaves nothing behind.
    this.#prepare(call, positions);
    const count = this.#asked.length;
    if (count === 0) return UNASKED;
    for (let at = 0; at < count; at++) {
      this.#handles[at] = this.#limiter.intern(this.#asked[at]!, this.#keys[at]!);
    }
    const reservation = this.#asked.some((index) => this.#mayComeBack(index))
      ? createReservation()
      : undefined;
    const outcome = this.#decide(count, reservation);
    if (outcome === OUTCOME.admitted) {
      this.#limiter.peek(this.#handles, this.#ones, count, this.#clock.monotonicMs(), this.#report);
    }
    for (let at = 0; at < count; at++) this.#limiter.release(this.#handles[at]!);
    const { refusal, fields } = this.#tell(outcome);
    if (refusal !== undefined || reservation === undefined) {
      return { refusal, fields, isOpen: false, holdsSlots: false, end: nothing };
    }
    return this.#open(reservation, fields);
  }

  #prepare(call: Call, positions: readonly number[]): void {
    this.#asked.length = 0;
    this.#keys.length = 0;
    for (const index of positions) {
      const limit = this.#limits[index]!;
      const key = limit.key(call);
      if (key === undefined) continue;
      const cost = toCost(limit.cost === undefined ? 1 : limit.cost(call), limit.name);
      this.#costs[this.#asked.length] = cost;
      this.#asked.push(index);
      this.#keys.push(toBoundedKey(key));
    }
  }

  #decide(count: number, reservation: Reservation | undefined): Outcome {
    const [handles, costs, report, nowMs] = [
      this.#handles,
      this.#costs,
      this.#report,
      this.#clock.monotonicMs(),
    ];
    return reservation === undefined
      ? this.#limiter.acquire(handles, costs, count, nowMs, report)
      : this.#limiter.reserve(handles, costs, count, nowMs, report, reservation);
  }

  /** Positions of limits in shadow mode come last (`toSet`), so those that speak are the first of the report. */
  #tell(outcome: Outcome): Pick<Passage, "refusal" | "fields"> {
    const policies = this.#asked
      .filter((index) => this.#limits[index]!.shadow !== true)
      .map((index) => this.#policies[index]!);
    const fields: Record<string, string> = {};
    if (policies.length > 0) {
      fields["RateLimit-Policy"] = toPolicyField(policies);
      fields["RateLimit"] = toLimitField(policies, this.#report);
      if (this.#withLegacyFields) Object.assign(fields, toLegacyFields(policies, this.#report));
    }
    if (outcome === OUTCOME.admitted) return { refusal: undefined, fields };
    const refusal = toRefusal(outcome, policies, { report: this.#report, random: this.#random });
    if (refusal.retryAfterSeconds !== undefined) {
      fields["Retry-After"] = String(refusal.retryAfterSeconds);
    }
    return { refusal, fields };
  }

  #open(reservation: Reservation, fields: Passage["fields"]): Passage {
    const limiter = this.#limiter;
    const asked = this.#asked.map((index) => this.#limits[index]!);
    const costs = this.#costs.slice(0, asked.length);
    const holdsSlots = asked.some((limit) => limit.kind === "concurrency");
    const isRefundable = asked.some((limit) => limit.refundWhen !== undefined);
    if (holdsSlots) this.#slots.hold(reservation);
    // A bucket does not refill while units of it may come back: what cannot is settled at once, slots stay held.
    if (!isRefundable) limiter.settle(reservation, this.#clock.monotonicMs());
    let isEnded = false;
    const end = (status: number | undefined): void => {
      if (isEnded) return;
      isEnded = true;
      if (isRefundable) {
        for (const [at, limit] of asked.entries()) {
          if (status !== undefined && limit.refundWhen?.(status) === true) costs[at] = 0;
        }
        limiter.settle(reservation, this.#clock.monotonicMs(), costs);
      }
      if (holdsSlots) this.#slots.finish(reservation);
    };
    return { refusal: undefined, fields, isOpen: true, holdsSlots, end };
  }

  #mayComeBack(index: number): boolean {
    const limit = this.#limits[index]!;
    return limit.refundWhen !== undefined || limit.kind === "concurrency";
  }
}

/**
 * Positions of `wanted` among `all`, those in shadow mode last.
 * @throws {RangeError} when they cannot be asked together
 */
export function toSet(
  all: readonly LimitDefinition[],
  wanted: readonly LimitDefinition[],
): readonly number[] {
  const names = wanted.map((limit) => limit.name);
  if (new Set(names).size < names.length || names.length > MAX_LIMITS_AT_ONCE) {
    throw new RangeError(
      `Cannot ask these limits together: names must differ and be at most ${MAX_LIMITS_AT_ONCE}: ${names.join(", ")}`,
    );
  }
  const isShadow = (index: number): number => (all[index]!.shadow === true ? 1 : 0);
  return wanted.map((limit) => all.indexOf(limit)).toSorted((a, b) => isShadow(a) - isShadow(b));
}

/** What a refused call is told. `policies[i]` is that of the report's position i. */
export function toRefusal(
  outcome: Outcome,
  policies: readonly RateLimitPolicy[],
  { report, random }: { readonly report: LimitReport; readonly random: Random },
): Refusal {
  const isImpossible = outcome === OUTCOME.impossible;
  return {
    isImpossible,
    violated: toViolatedPolicies(policies, report),
    retryAfterSeconds: isImpossible ? undefined : toRetryAfterSeconds(report, random),
  };
}

/** Costs above this are above every capacity but its own. */
const LARGEST_COST = 2 ** 31 - 1;

/**
 * A cost as the engine takes it. Callers often choose it (Content-Length): a negative one would give units back, and
 * one that wraps around would be cheap.
 */
export function toCost(cost: number, name: string): number {
  if (!(cost >= 0)) {
    throw new RangeError(`Cannot charge limit ${name}: its cost is ${cost}, and must be 0 or more`);
  }
  return Math.min(Math.ceil(cost), LARGEST_COST);
}

/** The table hashes text at some 100 MB/s; native SHA-256 is several times faster, and 256 characters hold every honest key. */
const LONGEST_KEY = 256;

/** Bounds what a key costs, however long a caller made it. */
export function toBoundedKey(key: string): string {
  return key.length <= LONGEST_KEY ? key : callerKey("long", key);
}

function nothing(): void {}

const UNASKED: Passage = {
  refusal: undefined,
  fields: {},
  isOpen: false,
  holdsSlots: false,
  end: nothing,
};

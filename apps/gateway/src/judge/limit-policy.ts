import {
  createLimitReport,
  createReservation,
  MAX_LIMITS_AT_ONCE,
  NO_HANDLE,
  OUTCOME,
  type LimitReport,
  type RateLimitPolicy,
  type Reservation,
} from "@tidegate/limits";
import { CALL_KIND, type Call, type Peer, type Session } from "./call.ts";
import type { CallLimiter } from "./call-limiter.ts";
import type { CallerSource } from "./caller.ts";
import { keyOf, type LimitKey } from "./limit-key.ts";
import type { Outcome, Policy, SocketAction, Stage } from "./policy.ts";
import { REASON } from "./reason.ts";
import { refuseWith, type Refusal } from "./refusal.ts";
import type { SlotHolders } from "./slot-holders.ts";
import { PENDING, VERDICT, type Verdict } from "./verdict.ts";

/** One limit as a route uses it. */
export interface LimitUse {
  /** Position in the limiter's definitions. */
  readonly limitIndex: number;
  readonly name: string;
  /** What a client may know about it. */
  readonly announced: RateLimitPolicy;
  readonly key: LimitKey;
  /**
   * `call`: one per request or message. `byte`: what `Call.bytes` says, frame by frame. `slot`: one, held as long
   * as the session lives.
   */
  readonly cost: "call" | "byte" | "slot";
  /** Where the handle stands in `Session.slots`; policies of two message classes may share a limit and its slot. */
  readonly slot: number;
  /** What happens to a message that this limit refuses. */
  readonly exceed: SocketAction;
  /** Whether going on over it can lead to the penalty box. */
  readonly strikes: boolean;
}

/** `Refusal.detail` of the reasons `limit_exceeded` and `cost_impossible`. Valid until the next call. */
export interface LimitDetail {
  readonly policy: LimitPolicy;
  readonly uses: readonly LimitUse[];
  readonly report: LimitReport;
}

export interface LimitPolicyOptions {
  readonly stage: Stage;
  /** At most `MAX_LIMITS_AT_ONCE`. */
  readonly uses: readonly LimitUse[];
  readonly limiter: CallLimiter;
  readonly holders: SlotHolders;
  /**
   * Whether what is charged comes back when a later stage refuses. The principal's limits do; an address's
   * never, or refusals would be free for who makes them on purpose.
   */
  readonly isRefundable: boolean;
  /** Refusals of each use, at its position; read by the metrics. */
  readonly refusals: Float64Array;
}

/** Reservations kept for reuse by one policy; more calls than this between two stages at once allocate. */
const MAX_SPARE_RESERVATIONS = 64;

/**
 * All limits of one stage as one policy: the set is acquired all or nothing. Admitting allocates nothing on the
 * message path: handles are interned when the session begins, and the arrays below are refilled for every call.
 */
export class LimitPolicy implements Policy {
  readonly stage: Stage;
  readonly uses: readonly LimitUse[];
  readonly #limiter: CallLimiter;
  readonly #holders: SlotHolders;
  /** Whether a slot of a concurrency limit is among them. */
  readonly #holdsSlot: boolean;
  /** Positions of the limits that later frames or chunks of a call are charged to. */
  readonly #byteUses: readonly LimitUse[];
  readonly #byteDetail: LimitDetail;
  readonly #isRefundable: boolean;
  readonly #handles: Int32Array;
  readonly #costs: Int32Array;
  readonly #detail: LimitDetail;
  readonly #refusals: Float64Array;
  readonly #spare: Reservation[] = [];

  constructor({ stage, uses, limiter, holders, isRefundable, refusals }: LimitPolicyOptions) {
    if (uses.length > MAX_LIMITS_AT_ONCE)
      throw new Error(`Cannot judge ${uses.length} limits at once: at most ${MAX_LIMITS_AT_ONCE}`);
    this.stage = stage;
    this.uses = uses;
    this.#limiter = limiter;
    this.#holders = holders;
    this.#isRefundable = isRefundable;
    this.#holdsSlot = uses.some(({ cost }) => cost === "slot");
    this.#byteUses = uses.filter(({ cost }) => cost === "byte");
    this.#handles = new Int32Array(uses.length);
    this.#costs = new Int32Array(uses.length);
    this.#refusals = refusals;
    const report = createLimitReport();
    this.#detail = { policy: this, uses, report };
    this.#byteDetail = { policy: this, uses: this.#byteUses, report };
  }

  begin(session: Session, peer: Peer, source?: CallerSource): void {
    for (const use of this.uses) {
      if ((session.slots[use.slot] ?? NO_HANDLE) !== NO_HANDLE) continue;
      const key = keyOf(use.key, { session, peer, source });
      session.slots[use.slot] = this.#limiter.intern(use.limitIndex, key);
    }
  }

  end(session: Session): void {
    const held = session.held?.get(this);
    if (held !== undefined) {
      session.held?.delete(this);
      this.#holders.finish(held);
      this.#keep(held);
    }
    for (const use of this.uses) {
      this.#limiter.release(session.slots[use.slot] ?? NO_HANDLE);
      session.slots[use.slot] = NO_HANDLE;
    }
  }

  judge(call: Call, refusal: Refusal): Verdict | typeof PENDING {
    const detail = call.isFirst ? this.#detail : this.#byteDetail;
    const { uses, report } = detail;
    if (uses.length === 0) return VERDICT.admit;
    const outcome = this.#ask(call, uses, report);
    if (outcome === OUTCOME.admitted) return VERDICT.admit;
    return outcome === PENDING ? PENDING : this.#refuse(call, outcome, detail, refusal);
  }

  judgeRun(call: Call, messages: number): boolean {
    if (this.#isRefundable || this.#holdsSlot) return false;
    const { uses } = this;
    for (let at = 0; at < uses.length; at++) {
      const use = uses[at] as LimitUse;
      const cost = use.cost === "byte" ? call.bytes : messages;
      if (cost > LARGEST_COST) return false;
      this.#handles[at] = call.session.slots[use.slot] ?? NO_HANDLE;
      this.#costs[at] = cost;
    }
    return this.#limiter.tryAcquire(this.#handles, this.#costs, uses.length, whole(call.nowMs));
  }

  /** A limit is shared with other gateways, and this one has no units of it in hand. */
  async pending(call: Call, refusal: Refusal, signal: AbortSignal): Promise<Verdict> {
    const { uses } = call.isFirst ? this.#detail : this.#byteDetail;
    // Other calls are judged meanwhile, so what is said of this one has a place of its own.
    const detail = { policy: this, uses, report: createLimitReport() };
    this.#fill(call, uses);
    // A message whose socket ends meanwhile must give back what it got.
    const isBooked = this.#isBooked(call) || call.kind === CALL_KIND.message;
    const booking = isBooked ? this.#takeBooking() : undefined;
    const outcome = await this.#limiter.acquireRemote!(
      this.#handles,
      this.#costs,
      uses.length,
      detail.report,
      booking,
      signal,
    );
    if (booking !== undefined) this.#noteBooking(call, booking, outcome);
    return outcome === OUTCOME.admitted
      ? VERDICT.admit
      : this.#refuse(call, outcome, detail, refusal);
  }

  #refuse(call: Call, outcome: number, detail: LimitDetail, refusal: Refusal): Verdict {
    const { uses, report } = detail;
    for (let at = 0; at < report.violatedCount; at++)
      this.#refusals[this.uses.indexOf(uses[report.violated[at] as number] as LimitUse)]! += 1;
    const remaining = report.remaining[report.violated[0] ?? 0] ?? 0;
    const { retryAfterMs } = report;
    if (outcome === OUTCOME.impossible) {
      refuseWith(refusal, REASON.cost_impossible, { retryAfterMs: 0, remaining, detail });
      return VERDICT.reject;
    }
    const isOver = outcome === OUTCOME.refused;
    const reason = isOver ? REASON.limit_exceeded : REASON.limit_store_lost;
    // A store that is lost says nothing about anybody's limits; a socket does about it what the limit says.
    const isTold = isOver || call.kind === CALL_KIND.message;
    refuseWith(refusal, reason, { retryAfterMs, remaining, detail: isTold ? detail : undefined });
    return isOver ? VERDICT.throttle : VERDICT.unavailable;
  }

  commit(call: Call): void {
    const { booking } = call;
    if (booking === undefined || !this.#mayComeBack(call)) return;
    call.booking = undefined;
    this.#spend(call, booking);
  }

  release(call: Call, outcome: Outcome): void {
    const { booking } = call;
    if (booking === undefined || !this.#mayComeBack(call)) return;
    call.booking = undefined;
    if (outcome === "refused-later") this.#limiter.refund(booking, whole(call.nowMs));
    else {
      this.#limiter.settle(booking, whole(call.nowMs));
      this.#limiter.finish(booking, whole(call.nowMs));
    }
    this.#keep(booking);
  }

  /** Whether the session's callers are named, which they are not before this stage was reached. */
  hasBegun(session: Session): boolean {
    return this.uses.every((use) => (session.slots[use.slot] ?? NO_HANDLE) !== NO_HANDLE);
  }

  /** What is left of each limit, without spending; for the `RateLimit` field. Valid until the next call. */
  peek(session: Session, nowMs: number): LimitReport {
    for (let at = 0; at < this.uses.length; at++) {
      this.#handles[at] = session.slots[(this.uses[at] as LimitUse).slot] ?? NO_HANDLE;
      // As a call would cost: a limit that is used up then tells when the next one fits.
      this.#costs[at] = 1;
    }
    const { report } = this.#detail;
    this.#limiter.peek(this.#handles, this.#costs, this.uses.length, whole(nowMs), report);
    return report;
  }

  #ask(call: Call, uses: readonly LimitUse[], report: LimitReport): number {
    this.#fill(call, uses);
    const nowMs = whole(call.nowMs);
    if (!this.#isBooked(call))
      return this.#limiter.acquire(this.#handles, this.#costs, uses.length, nowMs, report);
    const booking = this.#takeBooking();
    const outcome = this.#limiter.reserve(
      this.#handles,
      this.#costs,
      uses.length,
      nowMs,
      report,
      booking,
    );
    this.#noteBooking(call, booking, outcome);
    return outcome;
  }

  #isBooked(call: Call): boolean {
    return call.isFirst && (this.#isRefundable || this.#holdsSlot);
  }

  /** Of messages only what was waited for is booked. They have one policy with limits, so the booking is its own. */
  #mayComeBack(call: Call): boolean {
    return this.#isRefundable || call.kind === CALL_KIND.message;
  }

  #takeBooking(): Reservation {
    return this.#spare.pop() ?? this.#limiter.createReservation?.() ?? createReservation();
  }

  #noteBooking(call: Call, booking: Reservation, outcome: number): void {
    if (outcome !== OUTCOME.admitted) this.#keep(booking);
    else if (this.#mayComeBack(call)) call.booking = booking;
    else this.#spend(call, booking);
  }

  /** What was booked is spent; slots are held on, for the session. */
  #spend(call: Call, booking: Reservation): void {
    this.#limiter.settle(booking, whole(call.nowMs));
    if (!this.#holdsSlot) {
      this.#keep(booking);
      return;
    }
    call.session.held ??= new Map();
    call.session.held.set(this, booking);
    this.#holders.hold(booking);
  }

  #fill(call: Call, uses: readonly LimitUse[]): void {
    const bytes = Math.min(Math.max(call.bytes, 0), LARGEST_COST);
    for (let at = 0; at < uses.length; at++) {
      const use = uses[at] as LimitUse;
      this.#handles[at] = call.session.slots[use.slot] ?? NO_HANDLE;
      this.#costs[at] = use.cost === "byte" ? bytes : 1;
    }
  }

  #keep(booking: Reservation): void {
    if (this.#spare.length < MAX_SPARE_RESERVATIONS) this.#spare.push(booking);
  }
}

/**
 * What a socket does about a refusal: the strictest action among the limits that refused, or whose store is lost; `close`
 * for every other refusal, because a message can wait only for a limit.
 */
export function socketActionOf(refusal: Refusal): SocketAction {
  const { reason } = refusal;
  if (reason !== REASON.limit_exceeded && reason !== REASON.limit_store_lost) return "close";
  const { uses, report } = refusal.detail as LimitDetail;
  let action: SocketAction = "delay";
  // A limit may fit again by the time that it is described: then none is named, and all are meant.
  const isNamed = report.violatedCount > 0;
  const count = isNamed ? report.violatedCount : uses.length;
  // A lost store is nobody's fault, and neither is what nobody names.
  const isTheirs = isNamed && reason === REASON.limit_exceeded;
  for (let at = 0; at < count; at++) {
    const { exceed } = uses[isNamed ? (report.violated[at] as number) : at] as LimitUse;
    if (exceed === "penalise" && isTheirs) return exceed;
    if (exceed === "close" || exceed === "penalise") action = "close";
    else if (exceed === "drop" && action === "delay") action = exceed;
  }
  return action;
}

// The engine counts in whole milliseconds; a fraction would only be boxed on its way there.
const whole = Math.floor;

const LARGEST_COST = 2 ** 31 - 1;

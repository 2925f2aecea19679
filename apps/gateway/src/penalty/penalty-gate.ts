import { ANONYMOUS, type Principal } from "@tidegate/auth";
import type { Clock } from "@tidegate/clock";
import { checkLevel, type LevelDetail, type ScopeDetail } from "../identify/check-level.ts";
import type { Peer } from "../judge/call.ts";
import { REASON } from "../judge/reason.ts";
import { createRefusal, refuseWith, type Refusal } from "../judge/refusal.ts";
import type { Route } from "../route/route.ts";
import type { SessionEnding } from "../session/live-session.ts";
import type { CallerNames } from "./caller-names.ts";
import { LONGEST_PENALTY_MS } from "./penalty-rules.ts";
import { createPenaltyView, type PenaltyStore } from "./penalty-store.ts";
import { isSignInDue, oldestSignInSeconds } from "./sign-in-duty.ts";
import { VerificationBudget } from "./verification-budget.ts";

/** `Refusal.detail` of the reason `penalised`. */
export interface PenaltyDetail {
  readonly strikes: number;
  /** Whether waiting is not enough: afterwards the person must sign in again. */
  readonly reauthenticationRequired: boolean;
}

/** What a boxed caller is told. */
interface Boxed extends PenaltyDetail {
  readonly retryAfterMs: number;
}

/** How the penalty box stands on the road: it refuses who is in it, and who has not signed in since. One per thread. */
export class PenaltyGate {
  readonly #store: PenaltyStore;
  readonly #names: CallerNames;
  readonly #clock: Clock;
  readonly #view = createPenaltyView();
  readonly #budget: VerificationBudget;
  readonly #own = createRefusal();

  constructor(options: {
    readonly store: PenaltyStore;
    readonly names: CallerNames;
    readonly clock: Clock;
  }) {
    this.#store = options.store;
    this.#names = options.names;
    this.#clock = options.clock;
    this.#budget = new VerificationBudget(options.clock);
  }

  /** As that of the store: who waited since asks again. */
  get epoch(): number {
    return this.#store.epoch;
  }

  /** Step 7 of the road: the box, then the duty to sign in again. @returns whether `refusal` was filled */
  refuses(
    {
      principal,
      peer,
      route,
    }: { readonly principal: Principal; readonly peer: Peer; readonly route: Route },
    refusal: Refusal,
  ): boolean {
    if (this.#store.isEmpty) return false;
    const { name, key } = this.#names.of(principal, peer);
    if (this.#store.isBoxed(name)) {
      refuseBoxed(refusal, this.#describe(principal, peer));
      return true;
    }
    if (key.kind !== "person") return false;
    const view = this.#view;
    this.#store.look(name, view);
    if (!isSignInDue(principal, view.reauthenticateAfterMs)) return false;
    this.#refuseSignIn({ principal, route, penaltyMs: view.reauthenticateAfterMs }, refusal);
    return true;
  }

  /** Why what was admitted earlier may not go on; undefined: it may. */
  endingOf(principal: Principal, peer: Peer): SessionEnding | undefined {
    if (this.#store.isEmpty) return undefined;
    const { name } = this.#names.of(principal, peer);
    if (!this.#store.isBoxed(name)) return undefined;
    const { strikes, retryAfterMs, reauthenticationRequired } = this.#describe(principal, peer);
    return { kind: "penalised", strikes, retryAfterMs, reauthenticate: reauthenticationRequired };
  }

  /**
   * Whether the address is boxed, so that who shows nothing good is refused with it. Who does show something good is
   * not the address.
   */
  isAddressBoxed(peer: Peer): boolean {
    return !this.#store.isEmpty && this.#store.isBoxed(this.#names.of(ANONYMOUS, peer).name);
  }

  /** Whether one more credential that nobody remembers may be checked for a boxed address. */
  mayVerify(peer: Peer): boolean {
    return this.#budget.take(peer.network);
  }

  /** Refuses a call without a good credential from a boxed address. */
  refuseAddress(peer: Peer, refusal: Refusal): void {
    refuseBoxed(refusal, this.#describe(ANONYMOUS, peer));
  }

  #describe(principal: Principal, peer: Peer): Boxed {
    const { name, key } = this.#names.of(principal, peer);
    const view = this.#view;
    this.#store.look(name, view);
    return {
      strikes: view.strikes,
      reauthenticationRequired: key.kind === "person",
      // Who is suspended is told to come back in an hour: nobody knows when an operator looks.
      retryAfterMs: Math.min(view.retryAfterMs, LONGEST_PENALTY_MS),
    };
  }

  /** The challenge of RFC 9470, with what else the route asks for: one round trip brings all. */
  #refuseSignIn(
    { principal, route, penaltyMs }: { principal: Principal; route: Route; penaltyMs: number },
    refusal: Refusal,
  ): void {
    const nowMs = this.#clock.wallMs();
    const own = this.#own;
    const lacks = !checkLevel({ route, principal, nowMs }, own);
    const level =
      lacks && own.reason === REASON.level_lacking ? (own.detail as LevelDetail) : undefined;
    const scope = lacks ? (own.detail as ScopeDetail | LevelDetail) : undefined;
    const oldest = oldestSignInSeconds(penaltyMs, nowMs);
    const detail: LevelDetail = {
      acr: level?.acr ?? [],
      maxAgeSeconds: Math.min(oldest, level?.maxAgeSeconds ?? oldest),
      scopes: scope?.scopes ?? [],
    };
    refuseWith(refusal, REASON.sign_in_due, { detail });
  }
}

function refuseBoxed(refusal: Refusal, boxed: Boxed): void {
  const { strikes, reauthenticationRequired, retryAfterMs } = boxed;
  const detail: PenaltyDetail = { strikes, reauthenticationRequired };
  refuseWith(refusal, REASON.penalised, { retryAfterMs, detail });
}

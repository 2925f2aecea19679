import type { Principal } from "@tidegate/auth";
import type { Clock } from "@tidegate/clock";
import { CALL_KIND, type Peer } from "../judge/call.ts";
import { isOwnLimit } from "../judge/limit-key.ts";
import type { LimitDetail } from "../judge/limit-policy.ts";
import { REASON } from "../judge/reason.ts";
import { refuseWith, type Refusal } from "../judge/refusal.ts";
import type { Visit } from "../visit.ts";
import { kindOfCredential } from "../identify/presented-credential.ts";
import type { DenialCounts } from "./denial-counts.ts";
import { penaltyKeyOf, type PenaltyKey } from "./penalty-key.ts";
import { LONGEST_PENALTY_MS } from "./penalty-rules.ts";
import { createPenaltyView, type PenaltyName, type PenaltyStore } from "./penalty-store.ts";

/** `Refusal.detail` of the reason `penalised`. */
export interface PenaltyDetail {
  readonly strikes: number;
  /** Whether waiting is not enough: afterwards the person must sign in again. */
  readonly reauthenticationRequired: boolean;
}

/** How the penalty box stands on the road: refuses who is in it, and puts in who goes on over a limit. One per thread. */
export class PenaltyGate {
  readonly #store: PenaltyStore;
  readonly #denials: DenialCounts;
  readonly #clock: Clock;
  readonly #failed: (error: unknown) => void;
  readonly #view = createPenaltyView();
  // Principals and peers are made once per token and connection; with them their names go.
  readonly #names = new WeakMap<Principal | Peer, Named>();
  /** Strikes on their way to the store. Further ones wait for the next refusal: who strikes so often has many. */
  readonly #striking = new Set<string>();

  constructor(options: {
    readonly store: PenaltyStore;
    readonly denials: DenialCounts;
    readonly clock: Clock;
    /** Told when a strike could not be made durable or shared. */
    readonly failed: (error: unknown) => void;
  }) {
    this.#store = options.store;
    this.#denials = options.denials;
    this.#clock = options.clock;
    this.#failed = options.failed;
  }

  /** As that of the store: who waited since asks again. */
  get epoch(): number {
    return this.#store.epoch;
  }

  /** Step 7 of the road. @returns whether the caller is boxed; `refusal` says so then */
  refuses(principal: Principal, peer: Peer, refusal: Refusal): boolean {
    if (this.#store.isEmpty) return false;
    const { name, key } = this.#name(principal, peer);
    if (!this.#store.isBoxed(name)) return false;
    const view = this.#view;
    this.#store.look(name, view);
    const detail: PenaltyDetail = {
      strikes: view.strikes,
      reauthenticationRequired: key.kind === "person",
    };
    // Who is suspended is told to come back in an hour: nobody knows when an operator looks.
    const retryAfterMs = Math.min(view.retryAfterMs, LONGEST_PENALTY_MS);
    refuseWith(refusal, REASON.penalised, { retryAfterMs, detail });
    return true;
  }

  /** The limits of `visit.refusal` refused a request: counts that for who was refused, if it is theirs to answer for. */
  refused(visit: Visit): void {
    const { refusal, route, peer, kind, session } = visit;
    // Stock clients of sockets reconnect in a loop whatever they are told: that is no attack.
    if (kind !== CALL_KIND.request || refusal.reason !== REASON.limit_exceeded) return;
    if (route === undefined || session === undefined) return;
    const { policy, uses, report } = refusal.detail as LimitDetail;
    const isEarly = policy.stage === "address";
    // Before identification nobody has proved anything; with a credential it is not known yet whether they can.
    if (isEarly && route.config.auth !== "none" && kindOfCredential(visit.head) !== "none") return;
    // Shared budgets (route, connection) are used up by others too, and bytes are not counted in calls.
    const { key, name } = this.#name(session.principal, peer);
    this.#store.look(name, this.#view);
    const caller = `${this.#view.generation} ${key.narrow}`;
    for (let at = 0; at < report.violatedCount; at++) {
      const use = uses[report.violated[at] as number];
      if (use === undefined || use.cost === "byte") continue;
      if (!isOwnLimit(use.key, session.principal, { isSocket: false })) continue;
      if (this.#denials.add(use.limitIndex, caller, this.#clock.monotonicMs()))
        this.#strike(key, use.name);
    }
  }

  #strike(key: PenaltyKey, reason: string): void {
    const { narrow } = key;
    if (this.#striking.has(narrow) || this.#striking.size >= MOST_STRIKING) return;
    this.#striking.add(narrow);
    this.#store
      .strike(key, reason)
      .catch(this.#failed)
      .finally(() => this.#striking.delete(narrow));
  }

  #name(principal: Principal, peer: Peer): Named {
    const who = principal.kind === "anonymous" ? peer : principal;
    let named = this.#names.get(who);
    if (named === undefined) {
      const key = penaltyKeyOf(principal, peer.network);
      named = { key, name: this.#store.name(key) };
      this.#names.set(who, named);
    }
    return named;
  }
}

interface Named {
  readonly key: PenaltyKey;
  readonly name: PenaltyName;
}

const MOST_STRIKING = 1_024;

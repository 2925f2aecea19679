import type { Peer, Session } from "../judge/call.ts";
import type { LimitUse } from "../judge/limit-policy.ts";
import type { SocketAction } from "../judge/policy.ts";
import type { Refusal } from "../judge/refusal.ts";
import type { ThreadPenalties } from "../penalty/open-penalties.ts";
import type { SessionEnding } from "../session/live-session.ts";
import { PauseMeter } from "./pause-meter.ts";

/** What it means for a socket's client that its messages are over limits. One per socket; nothing until they are. */
export class SenderStrikes {
  readonly #penalties: ThreadPenalties;
  readonly #sender: { readonly session: Session; readonly peer: Peer };
  readonly #penalised: (ending: SessionEnding | undefined) => void;
  #isPenalising = false;
  /** Since the first delay. */
  #pauses: PauseMeter | undefined;
  #delayedBy: LimitUse | undefined;

  constructor(options: {
    readonly penalties: ThreadPenalties;
    readonly session: Session;
    readonly peer: Peer;
    /** A limit with `penalise` refused, and the strike is made; undefined when nobody was boxed for it. */
    readonly penalised: (ending: SessionEnding | undefined) => void;
  }) {
    this.#penalties = options.penalties;
    this.#sender = { session: options.session, peer: options.peer };
    this.#penalised = options.penalised;
  }

  /** As `DirectionOwner.overLimit`. @param bytes of the frame */
  overLimit(
    refusal: Refusal,
    { action, bytes }: { readonly action: SocketAction; readonly bytes: number },
  ): SocketAction {
    const { strikes } = this.#penalties;
    const sender = this.#sender;
    const use = strikes.penalisedBy(sender, refusal);
    if (use !== undefined) {
      this.#penalise(use);
      // Left out until it is known what the strike came to: then the socket ends.
      return action === "penalise" ? "drop" : action;
    }
    if (action === "penalise") return "close";
    if (action !== "delay") {
      strikes.message(sender, refusal, bytes);
      return action;
    }
    const delayedBy = strikes.delayedBy(sender, refusal);
    if (delayedBy === undefined) return action;
    this.#delayedBy = delayedBy;
    this.#pauses ??= new PauseMeter();
    return action;
  }

  /** Regularly. @param pausedMs how long reading has been paused in all */
  sweep(nowMs: number, pausedMs: number): void {
    if (this.#delayedBy === undefined || this.#pauses?.isTooMuch(nowMs, pausedMs) !== true) return;
    void this.#penalties.strikes.now(this.#sender, this.#delayedBy);
  }

  #penalise(use: LimitUse): void {
    if (this.#isPenalising) return;
    this.#isPenalising = true;
    const { strikes, gate } = this.#penalties;
    void strikes.now(this.#sender, use).then(() => {
      const { session, peer } = this.#sender;
      this.#penalised(gate.endingOf(session.principal, peer));
    });
  }
}

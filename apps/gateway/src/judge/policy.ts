import type { Call, Peer, Session } from "./call.ts";
import type { CallerSource } from "./caller.ts";
import type { Refusal } from "./refusal.ts";
import type { PENDING, Verdict } from "./verdict.ts";

/** The places on the road where policies stand, in the one order of judging. */
export const STAGES = ["address", "identity", "principal", "body", "capacity"] as const;
export type Stage = (typeof STAGES)[number];

/**
 * What happens to a message that a limit refuses: it waits, it is left out, the socket ends, or it ends and its caller is
 * put into the penalty box at once.
 */
export type SocketAction = "delay" | "drop" | "close" | "penalise";

/**
 * How an admitted call ended, told to every policy that admitted it.
 * `refused-later`: a later policy refused, so what this one charged to the principal is given back.
 * `failed`: the upstream did not answer well. `lost`: the client or the connection went away.
 */
export type Outcome = "done" | "refused-later" | "failed" | "lost";

/**
 * One rule on the road, the same for requests, handshakes and messages.
 *
 * `judge` never throws and allocates nothing when it admits: it stands on the message path. What it wants to
 * say about a refusal it writes into `refusal`, which belongs to the caller and is valid until the next call.
 */
export interface Policy {
  readonly stage: Stage;
  /**
   * A session begins: intern what its calls will ask for. After identification for every stage but `address`.
   * @param source who calls, for functions of the configuration; asked for at most once
   * @throws {Fault} `function_failed`; the session must be ended all the same
   */
  begin?(session: Session, peer: Peer, source?: CallerSource): void;
  /** The session is over: give back what `begin` took. Called exactly once for each `begin`. */
  end?(session: Session): void;
  /** @returns a verdict, or `PENDING` when the answer takes a wait */
  judge(call: Call, refusal: Refusal): Verdict | typeof PENDING;
  /**
   * Whether `messages` messages like `call` are admitted in one step, as they would be one after the other; `call.bytes`
   * are those of all of them. If so, they were, and are neither committed nor released. If not, nothing has happened, and
   * `judge` is asked about each. A policy without it judges each message.
   */
  judgeRun?(call: Call, messages: number): boolean;
  /** Called only after `PENDING`. A socket stops reading meanwhile, so that order is kept. */
  pending?(call: Call, refusal: Refusal, signal: AbortSignal): Promise<Verdict>;
  /** Every stage admitted the call: what could still have been given back is now spent. */
  commit?(call: Call): void;
  /** Called exactly once for every call that this policy admitted, when the call is over. */
  release?(call: Call, outcome: Outcome): void;
}

import type { Clock } from "@tidegate/clock";
import type { KeyInField } from "../identify/key-fields.ts";
import { kindOfCredential } from "../identify/presented-credential.ts";
import { CALL_KIND, type Peer, type Session } from "../judge/call.ts";
import { isOwnLimit, keyOf, type LimitKey } from "../judge/limit-key.ts";
import type { LimitDetail, LimitUse } from "../judge/limit-policy.ts";
import { REASON } from "../judge/reason.ts";
import type { Refusal } from "../judge/refusal.ts";
import type { Route } from "../route/route.ts";
import type { Visit } from "../visit.ts";
import type { CallerNames } from "./caller-names.ts";
import type { DenialCounts } from "./denial-counts.ts";
import type { PenaltyKey } from "./penalty-key.ts";
import { createPenaltyView, type PenaltyStore, type StrikeResult } from "./penalty-store.ts";

/** What a strike came to. */
export type StrikeOutcome = StrikeResult["outcome"] | "failed";

/** Who sent what was refused. */
interface Sender {
  readonly session: Session;
  readonly peer: Peer;
}

/**
 * Puts into the box who goes on over a limit of their own. Counts what limits refuse, and nothing else: not what is shared
 * with others (they would box each other), nor what is wrong, too much for us, or not theirs to answer for. One per thread;
 * the counts are the machine's.
 */
export class Strikes {
  readonly #store: PenaltyStore;
  readonly #names: CallerNames;
  readonly #denials: DenialCounts;
  readonly #clock: Clock;
  readonly #keyInField: KeyInField;
  readonly #struck: (outcome: StrikeOutcome, error?: unknown) => void;
  readonly #view = createPenaltyView();
  /** Strikes on their way to the store. Further ones wait for the next refusal: who strikes so often has many. */
  readonly #underWay = new Map<string, Promise<void>>();

  constructor(options: {
    readonly store: PenaltyStore;
    readonly names: CallerNames;
    readonly denials: DenialCounts;
    readonly clock: Clock;
    /** Default: no route knows a field for API keys. */
    readonly keyInField?: KeyInField;
    /** Told of every strike; with `failed`, that it could not be made durable or shared. */
    readonly struck: (outcome: StrikeOutcome, error?: unknown) => void;
  }) {
    this.#store = options.store;
    this.#names = options.names;
    this.#denials = options.denials;
    this.#clock = options.clock;
    this.#keyInField = options.keyInField ?? (() => undefined);
    this.#struck = options.struck;
  }

  /** Limits refused a request or a handshake: `visit.refusal` says which. */
  call(visit: Visit): void {
    const { refusal, route, peer, kind, session, call } = visit;
    if (refusal.reason !== REASON.limit_exceeded || route === undefined || session === undefined)
      return;
    // Editors of documents reconnect in a loop whatever they are told: that is no attack.
    if (kind === CALL_KIND.handshake && isDocumentRoute(route)) return;
    const { policy } = refusal.detail as LimitDetail;
    // Before identification nobody has proved anything; with a credential it is not known yet whether they can.
    const showsCredential = (): boolean =>
      kindOfCredential(visit.head) !== "none" ||
      this.#keyInField(visit.head.fields, route.config) !== undefined;
    if (policy.stage === "address" && route.config.auth !== "none" && showsCredential()) return;
    const bytes = call?.bytes ?? 0;
    this.#count({ session, peer }, refusal, { isSocket: false, bytes });
  }

  /**
   * A limit refused a message that the client sent. A limit with `delay` does not count here: who is slowed down is not
   * refused. @param bytes of the payload, as far as the frame goes
   */
  message(sender: Sender, refusal: Refusal, bytes: number): void {
    this.#count(sender, refusal, { isSocket: true, bytes });
  }

  /** The limit with `exceed: "penalise"` that refused, if the sender can be penalised for it. */
  penalisedBy({ session }: Sender, refusal: Refusal): LimitUse | undefined {
    return find(refusal, (use) => use.exceed === "penalise" && isTheirs(use, session));
  }

  /** The limit whose delays count against the sender. */
  delayedBy({ session }: Sender, refusal: Refusal): LimitUse | undefined {
    return find(refusal, (use) => use.exceed === "delay" && isTheirs(use, session));
  }

  /**
   * A strike without counting: the limit says so, or reading was paused nearly all the time.
   * @returns when it is known what it came to; never rejects
   */
  now({ session, peer }: Sender, use: LimitUse): Promise<void> {
    return this.#strike(this.#names.of(session.principal, peer).key, use.name);
  }

  #count(
    { session, peer }: Sender,
    refusal: Refusal,
    { isSocket, bytes }: { isSocket: boolean; bytes: number },
  ): void {
    const { uses, report } = refusal.detail as LimitDetail;
    const { key, name } = this.#names.of(session.principal, peer);
    // Nothing is added by counting on while the strike is on its way: a flood goes on until then.
    if (this.#underWay.has(key.narrow)) return;
    let caller: string | undefined;
    for (let at = 0; at < report.violatedCount; at++) {
      const use = uses[report.violated[at] as number];
      if (use === undefined || !use.strikes || (isSocket && use.exceed === "delay")) continue;
      if (!isOwnLimit(use.key, session.principal, { isSocket })) continue;
      if (caller === undefined) {
        this.#store.look(name, this.#view);
        caller = `${this.#view.generation} ${key.narrow}`;
      }
      const nowMs = this.#clock.monotonicMs();
      // A limit of each connection is counted for each connection: ten tabs are not one that sends ten times too much.
      const counted = isOfUser(use.key)
        ? caller
        : `${caller} ${keyOf(use.key, { session, peer, source: undefined })}`;
      const isTooMany = this.#denials.add(use.limitIndex, counted, {
        nowMs,
        ...(use.cost === "byte" ? { bytes } : {}),
      });
      if (isTooMany) void this.#strike(key, use.name);
    }
  }

  async #strike(key: PenaltyKey, reason: string): Promise<void> {
    const { narrow } = key;
    const underWay = this.#underWay.get(narrow);
    if (underWay !== undefined || this.#underWay.size >= MOST_UNDER_WAY) return underWay;
    const strike = this.#store
      .strike(key, reason)
      .then(
        ({ outcome }) => this.#struck(outcome),
        (error: unknown) => this.#struck("failed", error),
      )
      .finally(() => this.#underWay.delete(narrow));
    this.#underWay.set(narrow, strike);
    return strike;
  }
}

function isTheirs(use: LimitUse, { principal }: Session): boolean {
  return use.strikes && isOwnLimit(use.key, principal, { isSocket: true });
}

function find(refusal: Refusal, wanted: (use: LimitUse) => boolean): LimitUse | undefined {
  if (refusal.reason !== REASON.limit_exceeded) return undefined;
  const { uses, report } = refusal.detail as LimitDetail;
  for (let at = 0; at < report.violatedCount; at++) {
    const use = uses[report.violated[at] as number];
    if (use !== undefined && wanted(use)) return use;
  }
  return undefined;
}

const isOfUser = ({ parts }: LimitKey): boolean => parts.length === 1 && parts[0] === "user";

function isDocumentRoute({ config }: Route): boolean {
  return config.websocket !== undefined && DOCUMENT_CLASSES.has(config.websocket.classes);
}

/** Classifications of documents that several people edit at once. */
const DOCUMENT_CLASSES: ReadonlySet<string> = new Set(["yjs", "hocuspocus"]);

const MOST_UNDER_WAY = 1_024;

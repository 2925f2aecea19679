import type { Clock, Random } from "@tidegate/clock";
import { createLimiter } from "../create-limiter.ts";
import type { BucketDefinition, QuotaDefinition, WindowDefinition } from "../limit-definition.ts";
import { createLimitReport, MAX_LIMITS_AT_ONCE, OUTCOME, type Limiter } from "../limiter.ts";
import { toRateLimitPolicy, type RateLimitPolicy } from "../rate-limit-fields.ts";
import { toBoundedKey, toCost, toRefusal, toSet } from "./call-gate.ts";
import { toDefinition, type Refusal } from "./call-limit.ts";

/** A limit on the events of a Socket.IO socket. */
export type EventLimit<Socket> = (BucketDefinition | WindowDefinition | QuotaDefinition) & {
  /** Each socket for itself, or whoever a function names, once per socket; undefined: this limit does not ask this socket. */
  readonly key: "connection" | ((socket: Socket) => string | undefined);
  /** The class of events that it counts together; left out: all events. */
  readonly events?: readonly string[];
  /** Units of an event with these arguments, by default 1. Clients choose the arguments: what it throws refuses the event. */
  readonly cost?: (args: readonly unknown[]) => number;
  /**
   * What becomes of an event that is too much. `drop`: no listener gets it (but those of `onAny`, which Socket.IO calls before
   * any middleware); an acknowledgement is answered with
   * `{ error }`, and the socket's own `error` event says it on the server. `disconnect`: the connection ends too, and clients of
   * Socket.IO do not come back by themselves after that.
   */
  readonly exceed: "drop" | "disconnect";
};

/** An event as middleware gets it: its name, then its arguments. */
export type EventPacket = readonly unknown[];

/** The limits on events of all sockets of a server. */
export class EventGate<Socket> {
  readonly #limits: readonly EventLimit<Socket>[];
  readonly #policies: readonly RateLimitPolicy[];
  readonly #limiter: Limiter;
  readonly #clock: Clock;
  readonly #random: Random;
  /** Positions by the name of an event; bounded by the names in the limits. Clients choose names, so all others are one. */
  readonly #sets = new Map<unknown, readonly number[]>();
  readonly #others: readonly number[];
  #sockets = 0;

  // The event in hand, by position.
  readonly #handles = new Int32Array(MAX_LIMITS_AT_ONCE);
  readonly #costs = new Int32Array(MAX_LIMITS_AT_ONCE);
  readonly #asked: number[] = [];
  readonly #report = createLimitReport();

  /** @throws {RangeError} naming every limit that cannot be honoured */
  constructor(options: {
    readonly limits: readonly EventLimit<Socket>[];
    readonly clock: Clock;
    readonly random: Random;
  }) {
    const { limits, clock, random } = options;
    this.#limits = limits;
    this.#policies = limits.map((limit) => toRateLimitPolicy(limit));
    this.#limiter = createLimiter({ definitions: limits.map(toDefinition), random, clock });
    this.#clock = clock;
    this.#random = random;
    const setOf = (event: string | undefined): readonly number[] => {
      const asks = ({ events }: EventLimit<Socket>): boolean =>
        events === undefined || (event !== undefined && events.includes(event));
      return toSet(limits, limits.filter(asks));
    };
    this.#others = setOf(undefined);
    for (const event of limits.flatMap((limit) => limit.events ?? [])) {
      this.#sets.set(event, setOf(event));
    }
  }

  /** Names the caller once, so that an event needs no hash and no key: one handle per limit, -2 where it does not ask. */
  open(socket: Socket): Int32Array {
    const own = `${this.#sockets++}`;
    const keys = this.#limits.map(({ key }) => (key === "connection" ? own : key(socket)));
    return Int32Array.from(keys, (key, at) =>
      key === undefined ? NOT_ASKED : this.#limiter.intern(at, toBoundedKey(key)),
    );
  }

  /** Gives the handles back. What was spent stays spent. */
  close(handles: Int32Array): void {
    for (const handle of handles) if (handle >= 0) this.#limiter.release(handle);
  }

  /** Undefined when the event was admitted, and charged for. */
  refusalOf(packet: EventPacket, handles: Int32Array): EventRefusal | undefined {
    this.#asked.length = 0;
    for (const index of this.#sets.get(packet[0]) ?? this.#others) {
      if (handles[index] === NOT_ASKED) continue;
      const { cost, name } = this.#limits[index]!;
      const at = this.#asked.push(index) - 1;
      this.#handles[at] = handles[index]!;
      this.#costs[at] = cost === undefined ? 1 : toCost(cost(packet.slice(1)), name);
    }
    const count = this.#asked.length;
    if (count === 0) return undefined;
    const outcome = this.#limiter.acquire(
      this.#handles,
      this.#costs,
      count,
      this.#clock.monotonicMs(),
      this.#report,
    );
    if (outcome === OUTCOME.admitted) return undefined;
    const violated = [...this.#report.violated.subarray(0, this.#report.violatedCount)];
    const policies = this.#asked.map((index) => this.#policies[index]!);
    return {
      ...toRefusal(outcome, policies, { report: this.#report, random: this.#random }),
      isEnd: violated.some((at) => this.#limits[this.#asked[at]!]!.exceed === "disconnect"),
    };
  }
}

/** A refusal, and whether it ends the connection. */
export interface EventRefusal extends Refusal {
  readonly isEnd: boolean;
}

/** In place of a handle. Not `NO_HANDLE`, which is refused. */
const NOT_ASKED = -2;

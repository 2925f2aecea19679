import type { Clock, Random } from "@tidegate/clock";
import { createLimiter } from "../create-limiter.ts";
import type { BucketDefinition, QuotaDefinition, WindowDefinition } from "../limit-definition.ts";
import { createLimitReport, MAX_LIMITS_AT_ONCE, OUTCOME, type Limiter } from "../limiter.ts";
import { toRetryAfterSeconds } from "../rate-limit-fields.ts";
import { toBoundedKey, toSet } from "./call-gate.ts";
import { toDefinition } from "./call-limit.ts";

/** A limit on the messages of a socket. */
export type MessageLimit<Request> = (BucketDefinition | WindowDefinition | QuotaDefinition) & {
  /** Each connection for itself, or whoever the request of the upgrade names; undefined: this limit does not ask this connection. */
  readonly key: "connection" | ((request: Request) => string | undefined);
  /** Text and binary messages (default), their payload bytes, or pings and pongs. */
  readonly counts?: "messages" | "bytes" | "controls";
  /**
   * What becomes of a message that is too much. `delay`: reading stops until it fits, the sender feels it as
   * back-pressure; `drop`: it is thrown away; `close`: so is the socket. When several limits refuse, the hardest acts.
   */
  readonly exceed: Exceed;
};

export type Exceed = "delay" | "drop" | "close";

/** What became of a message, for logs and counters. */
export interface MessageRefusal {
  readonly action: Exceed;
  readonly isImpossible: boolean;
  readonly violated: readonly string[];
}

/** The limits on messages of all sockets of a server. */
export class MessageGate<Request> {
  readonly #limits: readonly MessageLimit<Request>[];
  readonly #limiter: Limiter;
  readonly #clock: Clock;
  readonly #random: Random;
  #connections = 0;

  /** @throws {RangeError} naming every limit that cannot be honoured */
  constructor(options: {
    readonly limits: readonly MessageLimit<Request>[];
    readonly clock: Clock;
    readonly random: Random;
  }) {
    const { limits, clock, random } = options;
    // A socket asks all of them at once: as many as fit into one question, and with names of their own.
    toSet(limits, limits);
    this.#limits = limits;
    this.#limiter = createLimiter({ definitions: limits.map(toDefinition), random, clock });
    this.#clock = clock;
    this.#random = random;
  }

  /** Names the caller once, so that a message needs no hash and no key. */
  open(request: Request): MessageCaller {
    const connection = `${this.#connections++}`;
    const keys = this.#limits.map(({ key }) => (key === "connection" ? connection : key(request)));
    return new MessageCaller({
      limits: this.#limits,
      limiter: this.#limiter,
      handles: keys.map((key, at) =>
        key === undefined ? undefined : this.#limiter.intern(at, toBoundedKey(key)),
      ),
      clock: this.#clock,
      random: this.#random,
    });
  }
}

/** The limits of one socket. Owns its handles until `close`. */
export class MessageCaller {
  readonly #limiter: Limiter;
  readonly #clock: Clock;
  readonly #random: Random;
  /** Without the limits that do not ask this socket; parallel to `#all` and `#costs`. */
  readonly #limits: readonly MessageLimit<never>[];
  readonly #all: Int32Array;
  // Those that count what the message in hand is; parallel to each other.
  readonly #handles = new Int32Array(MAX_LIMITS_AT_ONCE);
  readonly #costs = new Int32Array(MAX_LIMITS_AT_ONCE);
  readonly #at = new Int32Array(MAX_LIMITS_AT_ONCE);
  /** What refused last; read by `refusal`. */
  readonly #report = createLimitReport();
  #isImpossible = false;

  constructor(options: {
    readonly limits: readonly MessageLimit<never>[];
    readonly limiter: Limiter;
    readonly handles: readonly (number | undefined)[];
    readonly clock: Clock;
    readonly random: Random;
  }) {
    this.#limiter = options.limiter;
    this.#clock = options.clock;
    this.#random = options.random;
    this.#limits = options.limits.filter((_, at) => options.handles[at] !== undefined);
    this.#all = Int32Array.from(options.handles.filter((handle) => handle !== undefined));
  }

  /** Whether a message of so many bytes was admitted, and charged for. Allocates nothing. */
  admits(bytes: number, isControl: boolean): boolean {
    let count = 0;
    for (let at = 0; at < this.#limits.length; at++) {
      const counts = this.#limits[at]!.counts ?? "messages";
      if ((counts === "controls") !== isControl) continue;
      this.#handles[count] = this.#all[at]!;
      this.#costs[count] = counts === "bytes" ? bytes : 1;
      this.#at[count] = at;
      count++;
    }
    if (count === 0) return true;
    const outcome = this.#limiter.acquire(
      this.#handles,
      this.#costs,
      count,
      this.#clock.monotonicMs(),
      this.#report,
    );
    this.#isImpossible = outcome === OUTCOME.impossible;
    return outcome === OUTCOME.admitted;
  }

  /** What is to be done about the message that was refused last. What never fits is not worth waiting for. */
  exceed(): Exceed {
    let hardest: Exceed = "delay";
    for (let at = 0; at < this.#report.violatedCount; at++) {
      const { exceed } = this.#limits[this.#at[this.#report.violated[at]!]!]!;
      if (exceed === "close") return "close";
      if (exceed === "drop") hardest = "drop";
    }
    return hardest === "delay" && this.#isImpossible ? "close" : hardest;
  }

  /** Of the message that was refused last; `Infinity` when it can never fit. */
  get retryAfterMs(): number {
    return this.#report.retryAfterMs;
  }

  /** The same for a client to be told, with jitter. */
  retryAfterSeconds(): number | undefined {
    return toRetryAfterSeconds(this.#report, this.#random);
  }

  refusal(action: Exceed): MessageRefusal {
    const violated = [...this.#report.violated.subarray(0, this.#report.violatedCount)];
    return {
      action,
      isImpossible: this.#isImpossible,
      violated: violated.map((at) => this.#limits[this.#at[at]!]!.name),
    };
  }

  /** Gives the handles back; nothing may be asked afterwards. What was spent stays spent. */
  close(): void {
    for (const handle of this.#all) this.#limiter.release(handle);
  }
}

import assert from "node:assert/strict";
import {
  MessageChannel,
  type MessagePort,
  receiveMessageOnPort,
  Worker,
} from "node:worker_threads";
import { systemRandom, type Clock } from "@tidegate/clock";
import {
  beginLockOwner,
  createLimiterMemory,
  NO_HANDLE,
  type LimitDefinition,
  type LimitReport,
  type Outcome,
  type Reservation,
} from "@tidegate/limits";
import type { ContractLimiter } from "../src/contract-traffic.ts";
import type { Answer, Question } from "./limiter-host.ts";

/**
 * Limiters that live on other threads, asked as if they were here: this thread stands still until the answer comes. So one contract,
 * written for limiters in memory, also holds real threads and a real Redis to it.
 */
export interface Hosts extends AsyncDisposable {
  /** One limit over all hosts: each call is made on another thread than the one before. */
  attach(definitions: readonly LimitDefinition[], options: HostedOptions): ContractLimiter;
  /** Limits in the Redis at `url`, in virtual time. */
  share(
    definitions: readonly LimitDefinition[],
    options: HostedOptions & { readonly url: string; readonly how: "direct" | "leases" },
  ): ContractLimiter;
}

export interface HostedOptions {
  readonly reservationMs?: number | undefined;
  /** The wall clock beside the times passed in; default: both are the same, since the epoch. */
  readonly clock?: Clock | undefined;
}

const ANSWER_DEADLINE_MS = 20_000;
/** Limiters opened so far; what a host knows them by. */
let limiters = 0;
/** Far from zero, as real wall clocks are: times in microseconds that need all their digits. */
const EPOCH_MS = 1_795_000_000_000;

/** @param threads how many hosts; limits in Redis live on the first */
export function openHosts(threads: number): Hosts {
  const hosts = Array.from({ length: threads }, () => new Host());
  return {
    attach: (definitions, options) => attach(hosts, definitions, options),
    share: (definitions, { clock, ...options }) => {
      const limiter = ++limiters;
      const host = hosts[0]!;
      host.ask({
        do: "share",
        limiter,
        definitions,
        reservationMs: undefined,
        ...options,
        ...timeOf(clock, 0),
      });
      return new HostedLimiter([host], { limiter, clock });
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(hosts.map((host) => host.end()));
    },
  };
}

function attach(
  hosts: readonly Host[],
  definitions: readonly LimitDefinition[],
  { reservationMs = 30_000, clock }: HostedOptions,
): ContractLimiter {
  const small = definitions.map((definition) => ({ ...definition, maxKeys: 1_000 }));
  const memory = createLimiterMemory({ definitions: small, random: systemRandom, reservationMs });
  const limiter = ++limiters;
  for (const [at, host] of hosts.entries()) {
    const lockOwner = beginLockOwner(memory, at + 1);
    host.ask({ do: "attach", limiter, memory, lockOwner, ...timeOf(clock, 0) });
  }
  return new HostedLimiter(hosts, { limiter, clock });
}

/** One thread. */
class Host {
  readonly #signals = new Int32Array(new SharedArrayBuffer(4));
  readonly #answers: MessagePort;
  readonly #worker: Worker;

  constructor() {
    const { port1, port2: answers } = new MessageChannel();
    this.#answers = port1;
    this.#worker = new Worker(new URL("limiter-host.ts", import.meta.url), {
      workerData: { signals: this.#signals, answers },
      transferList: [answers],
    });
    // Nobody listens here: answers are fetched.
    this.#worker.unref();
  }

  ask(question: Question): Answer {
    Atomics.store(this.#signals, 0, 0);
    this.#worker.postMessage(question);
    // In a loop: the waking call of the answer before may come as late as this.
    while (Atomics.load(this.#signals, 0) === 0) {
      const waited = Atomics.wait(this.#signals, 0, 0, ANSWER_DEADLINE_MS);
      assert.notEqual(waited, "timed-out", `no answer to ${question.do}`);
    }
    const received = receiveMessageOnPort(this.#answers);
    assert.ok(received !== undefined, `no answer to ${question.do}`);
    return received.message as Answer;
  }

  async end(): Promise<void> {
    this.#answers.close();
    await this.#worker.terminate();
  }
}

/** A handle here is a position in the list of what each host calls it. */
class HostedLimiter implements ContractLimiter {
  readonly #hosts: readonly Host[];
  readonly #limiter: number;
  readonly #clock: Clock | undefined;
  readonly #handles: number[][] = [];
  readonly #booked = new WeakMap<Reservation, { readonly host: Host; readonly id: number }>();
  #turn = 0;
  #reservations = 0;

  constructor(
    hosts: readonly Host[],
    options: { readonly limiter: number; readonly clock: Clock | undefined },
  ) {
    this.#hosts = hosts;
    this.#limiter = options.limiter;
    this.#clock = options.clock;
  }

  intern(limit: number, key: string | Uint8Array): number {
    const question = { do: "intern", limit, key, ...this.#at(0) } as const;
    return this.#handles.push(this.#hosts.map((host) => host.ask(question).value)) - 1;
  }

  acquire(
    handles: Int32Array,
    costs: Int32Array,
    count: number,
    nowMs: number,
    report: LimitReport,
  ): Outcome {
    return this.#decide("acquire", { handles, costs, count, nowMs, report });
  }

  peek(
    handles: Int32Array,
    costs: Int32Array,
    count: number,
    nowMs: number,
    report: LimitReport,
  ): Outcome {
    return this.#decide("peek", { handles, costs, count, nowMs, report });
  }

  reserve(
    handles: Int32Array,
    costs: Int32Array,
    count: number,
    nowMs: number,
    report: LimitReport,
    reservation: Reservation,
  ): Outcome {
    assert.equal(reservation.count, 0, "the reservation is still open");
    return this.#decide("reserve", { handles, costs, count, nowMs, report }, reservation);
  }

  settle(reservation: Reservation, nowMs: number, actual?: Int32Array): number {
    return this.#end("settle", reservation, nowMs, actual);
  }

  refund(reservation: Reservation, nowMs: number): void {
    this.#end("refund", reservation, nowMs);
  }

  finish(reservation: Reservation, nowMs: number): void {
    this.#end("finish", reservation, nowMs);
  }

  renew(reservation: Reservation, nowMs: number): boolean {
    return this.#end("renew", reservation, nowMs) === 1;
  }

  sweep(nowMs: number, maxRecords: number): number {
    const question = { do: "sweep", maxRecords, ...this.#at(nowMs) } as const;
    return this.#next().ask(question).value;
  }

  #decide(
    how: "acquire" | "peek" | "reserve",
    call: {
      readonly handles: Int32Array;
      readonly costs: Int32Array;
      readonly count: number;
      readonly nowMs: number;
      readonly report: LimitReport;
    },
    reservation?: Reservation,
  ): Outcome {
    const host = this.#next();
    const at = this.#hosts.indexOf(host);
    const id = ++this.#reservations;
    const answer = host.ask({
      do: how,
      handles: call.handles
        .slice(0, call.count)
        .map((handle) => (handle === NO_HANDLE ? NO_HANDLE : this.#handles[handle]![at]!)),
      costs: call.costs.slice(0, call.count),
      reservation: id,
      ...this.#at(call.nowMs),
    });
    fill(call.report, answer.report!);
    if (reservation !== undefined) {
      reservation.count = answer.reservationCount!;
      this.#booked.set(reservation, { host, id });
    }
    return answer.value as Outcome;
  }

  #end(
    how: "settle" | "refund" | "finish" | "renew",
    reservation: Reservation,
    nowMs: number,
    actual?: Int32Array,
  ): number {
    const booked = this.#booked.get(reservation);
    if (booked === undefined || reservation.count === 0) return 0;
    const time = this.#at(nowMs);
    const answer = booked.host.ask({ do: how, reservation: booked.id, actual, ...time });
    reservation.count = answer.reservationCount!;
    return answer.value;
  }

  #at(nowMs: number) {
    return { limiter: this.#limiter, ...timeOf(this.#clock, nowMs) };
  }

  /** Another thread each time. */
  #next(): Host {
    return this.#hosts[this.#turn++ % this.#hosts.length]!;
  }
}

function timeOf(clock: Clock | undefined, nowMs: number): { monotonicMs: number; wallMs: number } {
  return { monotonicMs: nowMs, wallMs: clock?.wallMs() ?? EPOCH_MS + nowMs };
}

function fill(report: LimitReport, from: LimitReport): void {
  report.violatedCount = from.violatedCount;
  report.retryAfterMs = from.retryAfterMs;
  report.violated.set(from.violated);
  report.retryAfterEachMs.set(from.retryAfterEachMs);
  report.remaining.set(from.remaining);
  report.resetMs.set(from.resetMs);
}

import { parentPort, workerData, type MessagePort } from "node:worker_threads";
import { systemRandom, type Clock } from "@tidegate/clock";
import {
  attachLimiter,
  createLimitReport,
  createReservation,
  OUTCOME,
  type EmbeddedLimiter,
  type LimitDefinition,
  type LimiterMemory,
  type LimitReport,
  type LockOwner,
  type Reservation,
} from "@tidegate/limits";
import { createSharedLimiter, PENDING, type SharedLimiter } from "@tidegate/limits/redis";
import type { LimitStore } from "../src/redis/limit-store.ts";
import { openScriptRunner, type ScriptRunner } from "./redis-script-runner.ts";

// A thread that keeps limiters for `hosted-limiter.ts` and does what it is told, one thing at a time, at the time it is told.

/** What a host is told. Every question carries the time, and which limiter it is for. */
export type Question = {
  readonly monotonicMs: number;
  readonly wallMs: number;
  readonly limiter: number;
} & (
  | { readonly do: "attach"; readonly memory: LimiterMemory; readonly lockOwner: LockOwner }
  | {
      readonly do: "share";
      readonly url: string;
      readonly definitions: readonly LimitDefinition[];
      readonly how: "direct" | "leases";
      readonly reservationMs: number | undefined;
    }
  | { readonly do: "intern"; readonly limit: number; readonly key: string | Uint8Array }
  | {
      readonly do: "acquire" | "peek" | "reserve";
      readonly handles: Int32Array;
      readonly costs: Int32Array;
      readonly reservation: number;
    }
  | {
      readonly do: "settle" | "refund" | "finish" | "renew";
      readonly reservation: number;
      readonly actual?: Int32Array | undefined;
    }
  | { readonly do: "sweep"; readonly maxRecords: number }
);

export interface Answer {
  readonly value: number;
  readonly report?: LimitReport;
  readonly reservationCount?: number;
}

const { signals, answers } = workerData as {
  readonly signals: Int32Array;
  readonly answers: MessagePort;
};
const time = { monotonicMs: 0, wallMs: 0 };
// Timers never run: everything of one question happens at one instant.
const clock: Clock = {
  monotonicMs: () => time.monotonicMs,
  wallMs: () => time.wallMs,
  after: () => ({ cancel() {} }),
};
/** One unit a lease, handed back after each call: what leases decide is then what the store would. */
const ONE_UNIT = { isBetterDirect: () => false, leaseSize: () => 1, leastGapMs: 0 };
const { signal } = new AbortController();
let script: ScriptRunner | undefined;
interface Hosted {
  readonly embedded?: EmbeddedLimiter;
  readonly shared?: SharedLimiter;
  readonly leases?: boolean;
  readonly reservations: Map<number, Reservation>;
}
const hosted = new Map<number, Hosted>();
/** A test compares two limiters at most; older ones are not asked any more. */
const MOST_HOSTED = 4;

parentPort!.on("message", (question: Question) => {
  void answer(question).then((value) => {
    answers.postMessage(value);
    Atomics.store(signals, 0, 1);
    Atomics.notify(signals, 0);
  });
});

async function answer(question: Question): Promise<Answer> {
  time.monotonicMs = question.monotonicMs;
  time.wallMs = question.wallMs;
  const { monotonicMs: nowMs } = time;
  const { embedded, shared } = hosted.get(question.limiter) ?? {};
  switch (question.do) {
    case "attach":
      return keep(question.limiter, {
        embedded: attachLimiter({ ...question, maxHandles: 1_000, clock }),
        reservations: new Map(),
      });
    case "share":
      script ??= await openScriptRunner(question.url);
      return keep(question.limiter, {
        shared: share(question, script),
        leases: question.how === "leases",
        reservations: new Map(),
      });
    case "intern":
      return { value: (embedded ?? shared!).intern(question.limit, question.key) };
    case "acquire":
    case "peek":
    case "reserve":
      return await decide(question, nowMs);
    case "settle":
    case "refund":
    case "finish":
    case "renew":
      return end(question, nowMs);
    case "sweep":
      return { value: (embedded ?? shared!).sweep(nowMs, question.maxRecords) };
  }
}

function keep(id: number, limiter: Hosted): Answer {
  hosted.set(id, limiter);
  hosted.delete(id - MOST_HOSTED);
  return { value: 0 };
}

function share(question: Question & { readonly do: "share" }, runner: ScriptRunner): SharedLimiter {
  const isDirect = question.how === "direct";
  const store: LimitStore = {
    isUp: true,
    wallMs: () => time.wallMs,
    ask: (tag, asks) => runner.run(asks, { nowUs: Math.round(time.wallMs * 1_000), tag }),
    statistics: () => ({ state: "up", asked: 0, timedOut: 0, failed: 0, reloaded: 0, losses: 0 }),
    async [Symbol.asyncDispose]() {},
  };
  return createSharedLimiter({
    limits: new Map(
      question.definitions.map((definition, at) => [
        at,
        // Definitions of one name are limits of their own here, as they are to a limiter in memory.
        { definition, id: `limit ${at}`, whenStoreLost: "deny" as const, isDirect },
      ]),
    ),
    store,
    clock,
    random: systemRandom,
    prefix: `t${question.limiter}`,
    nodes: 1,
    ...(question.reservationMs === undefined ? {} : { reservationMs: question.reservationMs }),
    ...(isDirect ? {} : { sizing: ONE_UNIT }),
  });
}

async function decide(
  question: Question & { readonly do: "acquire" | "peek" | "reserve" },
  nowMs: number,
): Promise<Answer> {
  const { handles, costs } = question;
  const { embedded, shared, leases, reservations } = hosted.get(question.limiter)!;
  const report = createLimitReport();
  const count = handles.length;
  if (question.do === "peek") {
    const value =
      embedded?.peek(handles, costs, count, nowMs, report) ??
      (await shared!.peekRemote(handles, costs, count, report, signal));
    return { value, report };
  }
  const limiter = embedded ?? shared!;
  if (question.do === "acquire") {
    let value: number = limiter.acquire(handles, costs, count, nowMs, report);
    if (value === PENDING)
      value = await shared!.acquireRemote(handles, costs, count, report, undefined, signal);
    if (leases === true) await shared!.handBack();
    return { value, report };
  }
  const reservation = shared?.createReservation() ?? createReservation();
  let value: number = limiter.reserve(handles, costs, count, nowMs, report, reservation as never);
  if (value === PENDING) {
    const held = reservation as ReturnType<SharedLimiter["createReservation"]>;
    value = await shared!.acquireRemote(handles, costs, count, report, held, signal);
  }
  if (value === OUTCOME.admitted) reservations.set(question.reservation, reservation);
  return { value, report, reservationCount: value === OUTCOME.admitted ? count : 0 };
}

function end(
  question: Question & { readonly do: "settle" | "refund" | "finish" | "renew" },
  nowMs: number,
): Answer {
  const { embedded, shared, reservations } = hosted.get(question.limiter)!;
  const reservation = reservations.get(question.reservation);
  if (reservation === undefined) return { value: 0, reservationCount: 0 };
  let value = 0;
  if (question.do === "renew")
    value = (embedded ?? shared!).renew(reservation as never, nowMs) ? 1 : 0;
  else if (question.do === "settle")
    value = (embedded ?? shared!).settle(reservation as never, nowMs, question.actual) ?? 0;
  else (embedded ?? shared!)[question.do](reservation as never, nowMs);
  return { value, reservationCount: reservation.count };
}

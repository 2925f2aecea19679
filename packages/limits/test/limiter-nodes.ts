import { systemClock, systemRandom } from "@tidegate/clock";
import { waitFor } from "@tidegate/testkit";
import { createLimiter } from "../src/create-limiter.ts";
import type { LimitDefinition } from "../src/limit-definition.ts";
import { createLimitReport } from "../src/limiter.ts";
import {
  createSharedLimiter,
  PENDING,
  RedisStore,
  type SharedLimiter,
  type SharedReservation,
  type WhenStoreLost,
} from "../src/redis/index.ts";

let opened = 0;

export interface NodeOptions {
  readonly prefix?: string;
  readonly url?: string;
  readonly whenStoreLost?: WhenStoreLost;
  readonly nodes?: number;
  readonly local?: readonly number[];
  readonly isDirect?: boolean;
  readonly maxAccounts?: number;
  readonly states?: string[];
}

/** Opens a node. Nodes with the same `prefix` share their limits. */
export async function openNode(
  url: string,
  definitions: readonly LimitDefinition[],
  options: NodeOptions = {},
) {
  const prefix = options.prefix ?? `n${++opened}`;
  const local = options.local ?? [];
  const store = new RedisStore({
    url: options.url ?? url,
    clock: systemClock,
    random: systemRandom,
    node: systemRandom.bytes(9).toString("base64url"),
    prefix,
    whenEmpty: "grant",
    whenRestarted: "learn",
    stateChanged: (state) => options.states?.push(state),
  });
  const limiter = createSharedLimiter({
    limits: new Map(
      Array.from(definitions.entries())
        .filter(([index]) => !local.includes(index))
        .map(([index, definition]) => [
          index,
          {
            definition,
            whenStoreLost: options.whenStoreLost ?? "deny",
            isDirect: options.isDirect ?? false,
          },
        ]),
    ),
    store,
    clock: systemClock,
    random: systemRandom,
    prefix,
    nodes: options.nodes ?? 2,
    // A busy test machine is no lost store.
    budgetMs: 2_000,
    ...(local.length > 0 ? { local: createLimiter({ definitions, random: systemRandom }) } : {}),
    ...(options.maxAccounts === undefined ? {} : { maxAccounts: options.maxAccounts }),
  });
  await waitFor(() => store.isUp, { what: "the store", deadlineMs: 5_000 });
  return limiter;
}

/** A caller's view, that waits for the store where it must. */
export function callerOf(limiter: SharedLimiter, keys: readonly string[] | string, limits = [0]) {
  const handles = Int32Array.from(limits, (limit, at) =>
    limiter.intern(limit, typeof keys === "string" ? keys : keys[at]!),
  );
  const report = createLimitReport();
  const { signal } = new AbortController();
  return {
    handles,
    report,
    /** Without waiting. */
    try: (...costs: number[]) =>
      limiter.acquire(
        handles,
        Int32Array.from(costs),
        handles.length,
        systemClock.monotonicMs(),
        report,
      ),
    async acquire(...costs: number[]): Promise<number> {
      const first = this.try(...costs);
      if (first !== PENDING) return first;
      return await limiter.acquireRemote(
        handles,
        Int32Array.from(costs),
        handles.length,
        report,
        undefined,
        signal,
      );
    },
    async reserve(reservation: SharedReservation, ...costs: number[]): Promise<number> {
      const wanted = Int32Array.from(costs);
      const nowMs = systemClock.monotonicMs();
      const first = limiter.reserve(handles, wanted, handles.length, nowMs, report, reservation);
      if (first !== PENDING) return first;
      return await limiter.acquireRemote(
        handles,
        wanted,
        handles.length,
        report,
        reservation,
        signal,
      );
    },
  };
}

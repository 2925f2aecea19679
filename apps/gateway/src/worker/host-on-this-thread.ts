import { createLimiter, type EmbeddedLimiter, type LimitDefinition } from "@tidegate/limits";
import type { Metrics } from "../record/metrics.ts";
import type { Penalties } from "../penalty/open-penalties.ts";
import type { DataThreads } from "./data-threads.ts";
import type { DataPlaneHost } from "./data-plane-host.ts";
import { runDataPlane, type DataPlaneOptions } from "./run-data-plane.ts";
import { CELL, createWorkerCells } from "./worker-cells.ts";

/** Serves on the thread that calls: nothing is shared, and nobody supervises. For embedding and for tests. */
export async function hostOnThisThread(
  options: Pick<DataPlaneOptions, "config" | "port" | "viaName" | "log" | "clock" | "random"> & {
    readonly metrics: Metrics;
    readonly dataThreads: DataThreads;
    readonly penalties?: Penalties | undefined;
    readonly limitSnapshot: Uint8Array | undefined;
  },
): Promise<DataPlaneHost> {
  const cells = createWorkerCells(1);
  const { clock, random, metrics } = options;
  let limits: EmbeddedLimiter | undefined;
  const openLimits = (definitions: readonly LimitDefinition[]): EmbeddedLimiter => {
    const snapshot = options.limitSnapshot;
    return createLimiter({
      definitions,
      random,
      clock,
      ...(snapshot === undefined ? {} : { snapshot }),
    });
  };
  const plane = await runDataPlane({
    ...options,
    main: options.dataThreads.join(),
    penalties: options.penalties?.open(metrics),
    worker: 0,
    workers: 1,
    life: 0,
    isPortShared: false,
    cells,
    createLimiter: (definitions) => (limits = openLimits(definitions)),
  });
  const host: DataPlaneHost = {
    port: plane.port,
    readiness: () => plane.readiness(),
    blocks: () => Promise.resolve(metrics.blocks),
    droppedLines: 0,
    limits,
    get requestsInFlight() {
      return cells.get(0, CELL.inFlight);
    },
    get connections() {
      return cells.get(0, CELL.connections);
    },
    async drain(deadlineMs) {
      const { promise: deadline, resolve } = Promise.withResolvers<void>();
      const timer = clock.after(deadlineMs, resolve);
      await Promise.race([plane.drain(), deadline]);
      timer.cancel();
    },
    async stop() {
      const cut = { requestsCut: plane.requestsInFlight, socketsCut: plane.socketsOpen };
      await plane[Symbol.asyncDispose]();
      return cut;
    },
    async [Symbol.asyncDispose]() {
      await plane[Symbol.asyncDispose]();
    },
  };
  return host;
}

import type { EmbeddedLimiter } from "@tidegate/limits";
import type { Readiness } from "../admin/readiness.ts";
import type { MetricBlock } from "../record/metric-memory.ts";

/** Where the data plane runs: on the main thread, or on workers. What the main thread needs of it. */
export interface DataPlaneHost extends AsyncDisposable {
  readonly port: number;
  readiness(): readonly Readiness[];
  /** The counters of every thread that served, those that are new included. */
  blocks(): Promise<readonly MetricBlock[]>;
  /** Log lines lost before they reached the main thread's log. */
  readonly droppedLines: number;
  /** The main thread's own view of the limits of all threads; undefined when there are none. */
  readonly limits: EmbeddedLimiter | undefined;
  readonly requestsInFlight: number;
  readonly connections: number;
  /** Nothing new is taken. Resolves when everything that ran has ended, or at the deadline. */
  drain(deadlineMs: number): Promise<void>;
  /** Ends everything at once. @returns what was still running */
  stop(): Promise<{ readonly requestsCut: number; readonly socketsCut: number }>;
}

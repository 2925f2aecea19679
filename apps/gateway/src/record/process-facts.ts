import { monitorEventLoopDelay } from "node:perf_hooks";

/** What the operating system and the runtime say about this process. */
export interface ProcessFacts {
  readonly cpuUserSeconds: number;
  readonly cpuSystemSeconds: number;
  readonly residentBytes: number;
  readonly heapUsedBytes: number;
  readonly externalBytes: number;
  /** Seconds since the epoch. */
  readonly startedAtSeconds: number;
  readonly nodeVersion: string;
  /** How late timers ran since the last reading; 0 when nothing was measured. */
  readonly eventLoopDelay: {
    readonly p50Seconds: number;
    readonly p99Seconds: number;
    readonly maxSeconds: number;
  };
}

/** Reads the facts. One reader per process: each reading begins a new period of the event loop's delay. */
export interface ProcessFactsReader extends Disposable {
  read(): ProcessFacts;
}

// A timer every 20 ms: 50 wake-ups a second cost nothing that can be measured, and catch what users notice.
const RESOLUTION_MS = 20;

export function readProcessFacts(): ProcessFactsReader {
  const delays = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  delays.enable();
  const startedAtSeconds = performance.timeOrigin / 1_000;
  return {
    read() {
      const cpu = process.cpuUsage();
      const memory = process.memoryUsage();
      const facts: ProcessFacts = {
        cpuUserSeconds: cpu.user / 1e6,
        cpuSystemSeconds: cpu.system / 1e6,
        residentBytes: memory.rss,
        heapUsedBytes: memory.heapUsed,
        externalBytes: memory.external,
        startedAtSeconds,
        nodeVersion: process.version,
        eventLoopDelay: {
          p50Seconds: delaySeconds(delays, delays.percentile(50)),
          p99Seconds: delaySeconds(delays, delays.percentile(99)),
          maxSeconds: delaySeconds(delays, delays.max),
        },
      };
      delays.reset();
      return facts;
    },
    [Symbol.dispose]: () => void delays.disable(),
  };
}

/** The monitor counts its own interval; what goes beyond it is delay. */
function delaySeconds(delays: { readonly count: number }, nanoseconds: number): number {
  if (delays.count === 0) return 0;
  return Math.max(0, nanoseconds / 1e9 - RESOLUTION_MS / 1_000);
}

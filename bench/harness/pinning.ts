import { execFileSync, spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";

/** Which core serves and which one asks, so that neither takes the other's time. */
export interface Cores {
  /** For the server under test. */
  readonly server: number;
  /** For the load generator and for what stands behind the server. */
  readonly generator: number;
  /** False where there is one core only, or no `taskset`: figures are rough then. */
  readonly isPinned: boolean;
}

/** The first two cores this process may use. */
export function chooseCores(): Cores {
  const allowed = allowedCores();
  const [server = 0, generator = server] = allowed;
  const isPinned = server !== generator && spawnSync("taskset", ["--version"]).status === 0;
  return { server, generator, isPinned };
}

/** Moves this process, all its threads included, to one core. */
export function pinSelf(core: number): void {
  execFileSync("taskset", ["-a", "-c", "-p", String(core), String(process.pid)], {
    stdio: "ignore",
  });
}

/** Program and arguments that run `command` on one core; the process id stays the command's own. */
export const pinned = (core: number, command: readonly string[]): readonly string[] => [
  "taskset",
  "-c",
  String(core),
  ...command,
];

function allowedCores(): number[] {
  const status = readFileSync("/proc/self/status", "utf8");
  const list = /^Cpus_allowed_list:\s*(\S+)$/m.exec(status)?.[1] ?? "0";
  return list.split(",").flatMap((range) => {
    const [first = 0, last = first] = range.split("-").map(Number);
    return Array.from({ length: last - first + 1 }, (_, offset) => first + offset);
  });
}

import { readdirSync, readFileSync } from "node:fs";

/**
 * CPU time, user and system, that a process used so far, all its threads included; its children are not. It is what
 * `/proc/<pid>/stat` gives in ticks of 10 ms, read where the scheduler keeps it in nanoseconds. In microseconds.
 * A thread that ended is not counted any more, so take differences over stretches in which none ends.
 */
export function cpuMicroseconds(pid: number): number {
  const tasks = `/proc/${pid}/task`;
  let nanoseconds = 0;
  for (const task of readdirSync(tasks)) {
    // Documentation/scheduler/sched-stats: the first field is time spent on the CPU.
    const [running] = readFileSync(`${tasks}/${task}/schedstat`, "utf8").split(" ");
    nanoseconds += Number(running);
  }
  return nanoseconds / 1_000;
}

/** Resident memory of a process, bytes. */
export function residentBytes(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return Number(/^VmRSS:\s*(\d+) kB$/m.exec(status)?.[1]) * 1_024;
}

import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { cpus, loadavg, release, totalmem } from "node:os";

/** What a figure depends on, and what says nothing about whose machine it is. */
export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGiB: number;
  readonly system: string;
  /** Of the last minute: near 0 on a quiet machine. */
  readonly load: number;
  readonly isPinned: boolean;
}

export function describeMachine(isPinned: boolean): Machine {
  return {
    cpu: cpus()[0]?.model ?? "unknown",
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    system: `${distribution()}, Linux ${release().replace(/-.*$/, "")}`,
    load: Math.round((loadavg()[0] ?? 0) * 100) / 100,
    isPinned,
  };
}

function distribution(): string {
  const text = readFileSync("/etc/os-release", "utf8");
  return /^PRETTY_NAME="(.*)"$/m.exec(text)?.[1] ?? "Linux";
}

/** The installed version of an npm package, as the bench resolves it. */
export function packageVersion(name: string): string {
  const require = createRequire(import.meta.url);
  // Not `require("name/package.json")`: many packages do not export it.
  const folder = require.resolve.paths(name)?.map((path) => `${path}/${name}/package.json`) ?? [];
  for (const file of folder) {
    try {
      return String(JSON.parse(readFileSync(file, "utf8")).version);
    } catch {
      // Not in this folder; the next one up.
    }
  }
  return "not installed";
}

/** The first thing that looks like a version in what a program prints, on either output. */
export function programVersion(command: string, ...args: string[]): string {
  const text = execFileSync("sh", ["-c", '"$0" "$@" 2>&1', command, ...args], {
    encoding: "utf8",
  });
  return /\d+\.\d+(?:\.\d+)?/.exec(text)?.[0] ?? "unknown";
}

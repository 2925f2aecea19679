// Checks that read the code without running it.

import { spawn } from "node:child_process";
import { stripVTControlCharacters } from "node:util";
import { NOTHING, addTallies, type Tally } from "./tally.ts";

const PARTS: readonly {
  readonly name: string;
  readonly command: readonly [string, ...string[]];
}[] = [
  { name: "format", command: ["oxfmt", "--check", "."] },
  { name: "lint", command: ["oxlint", "--deny-warnings"] },
  { name: "types", command: ["tsc", "-p", "."] },
  { name: "dead code", command: ["knip", "--no-progress", "--no-config-hints"] },
];

/** Runs format, lint, types and dead code at once; prints the output of those that fail. */
export async function runStaticParts(): Promise<Tally> {
  const tallies = await Promise.all(
    PARTS.map(async ({ name, command: [program, ...args] }) => {
      const { code, output, seconds } = await run(program, args);
      const isPassed = code === 0;
      console.log(`${isPassed ? "ok    " : "FAILED"} ${name} (${seconds.toFixed(1)} s)`);
      if (!isPassed)
        console.log(stripVTControlCharacters(output).trimEnd().replaceAll(/^/gm, "    "));
      return isPassed ? { ...NOTHING, passed: 1 } : { ...NOTHING, failed: 1 };
    }),
  );
  return addTallies(tallies);
}

async function run(
  program: string,
  args: readonly string[],
): Promise<{ code: number | null; output: string; seconds: number }> {
  const startedAt = performance.now();
  // The installed tool and the pinned Node, also when this was not started by npm.
  const path = `${process.cwd()}/node_modules/.bin:${process.env["PATH"] ?? ""}`;
  const child = spawn(program, args, {
    env: { ...process.env, PATH: path, NO_COLOR: "1" },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  child.stdout.on("data", (chunk: Buffer) => (output += chunk.toString()));
  child.stderr.on("data", (chunk: Buffer) => (output += chunk.toString()));
  return new Promise((resolve) => {
    child.on("error", (error) => (output += error.message));
    child.on("close", (code) =>
      resolve({ code, output, seconds: (performance.now() - startedAt) / 1_000 }),
    );
  });
}

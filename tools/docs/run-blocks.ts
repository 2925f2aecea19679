import { spawn } from "node:child_process";
import type { CodeBlock } from "./markdown.ts";

export interface BlockRun {
  readonly block: CodeBlock;
  /** What it printed on both outputs. */
  readonly output: string;
}

const DEADLINE_MS = 120_000;

/**
 * Runs shell blocks in order in one bash, as a reader pastes them into one terminal: what one sets, the next one sees. A
 * command that fails ends it, so that fewer runs come back than blocks went in, and the last one tells why.
 * @param options.replace puts the addresses and folders of this run in place of the written ones
 */
export async function runBlocks(
  blocks: readonly CodeBlock[],
  options: { readonly cwd: string; readonly replace: (code: string) => string },
): Promise<{ readonly runs: readonly BlockRun[]; readonly code: number | null }> {
  const mark = `--- block ${process.pid}-${blocks.length} ---`;
  const script = blocks
    .map((block) => `printf '%s\\n' '${mark}'\n${options.replace(block.code)}`)
    .join("\n");
  const child = spawn("bash", ["-euo", "pipefail", "-c", `exec 2>&1\n${script}`], {
    cwd: options.cwd,
    stdio: ["ignore", "pipe", "inherit"],
    timeout: DEADLINE_MS,
  });
  let output = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => (output += text));
  const code = await new Promise<number | null>((resolve) => child.on("close", resolve));
  const parts = output.split(`${mark}\n`).slice(1);
  const runs = parts.flatMap((part, index) => {
    const block = blocks[index];
    return block === undefined ? [] : [{ block, output: part }];
  });
  return { runs, code };
}

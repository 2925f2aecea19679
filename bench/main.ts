// npm run bench -- <question> [--quick]: runs `bench/<question>/main.ts` and checks that its last line is the result
// in the agreed form. Without a question it lists them.

import { spawn } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { once } from "node:events";
import { faultsOfResult } from "./harness/result.ts";

const [question, ...options] = process.argv.slice(2);
const questions = readdirSync(import.meta.dirname).filter((name) =>
  existsSync(join(import.meta.dirname, name, "main.ts")),
);
if (question === undefined || !questions.includes(question)) {
  console.error("Usage: npm run bench -- <question> [--quick]\n\nQuestions:");
  for (const name of questions) console.error(`  ${name}`);
  process.exit(question === undefined ? 0 : 1);
}

const child = spawn(
  process.execPath,
  [join(import.meta.dirname, question, "main.ts"), ...options],
  { stdio: ["inherit", "pipe", "inherit"] },
);
// Ctrl-C reaches the whole group; the bench stops what it started, and this waits for it.
process.on("SIGINT", () => undefined);
// A result is one line; 1 MiB is a hundred times the longest.
const KEPT_CHARACTERS = 1_048_576;
let tail = "";
child.stdout.setEncoding("utf8").on("data", (text: string) => {
  process.stdout.write(text);
  tail = (tail + text).slice(-KEPT_CHARACTERS);
});
const [code] = await once(child, "close");
if (code !== 0) process.exit(typeof code === "number" ? code : 1);

const lastLine = tail.trimEnd().split("\n").at(-1) ?? "";
if (!options.includes("--check")) {
  const faults = faultsOfResult(lastLine, question);
  if (faults.length > 0) {
    console.error(`bench: the last line of ${question} is no result: ${faults.join("; ")}`);
    process.exit(1);
  }
}

import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { Writable } from "node:stream";
import type { Terminal } from "./terminal.ts";

/** The terminal, or the pipes, that this process was started with. */
export const processTerminal: Terminal = {
  workingFolder: process.cwd(),
  environment: process.env,
  print: (line) => void process.stdout.write(`${line}\n`),
  complain: (line) => void process.stderr.write(`${line}\n`),
  readSecret,
};

/** Opens an address in the person's browser, which goes on without us. @returns whether there is a program for it */
export async function openBrowser(url: string): Promise<boolean> {
  const program = spawn("xdg-open", [url], { stdio: "ignore", detached: true });
  program.unref();
  return await once(program, "spawn").then(
    () => true,
    () => false,
  );
}

const LONGEST_SECRET = 1_024;

async function readSecret(prompt: string): Promise<string> {
  const isTyped = process.stdin.isTTY;
  if (isTyped) process.stderr.write(prompt);
  // What the line editor echoes goes nowhere.
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() });
  const lines = createInterface({ input: process.stdin, output: nowhere, terminal: isTyped });
  const { promise, resolve } = Promise.withResolvers<string>();
  lines.once("line", resolve);
  lines.once("close", () => resolve(""));
  const line = await promise;
  lines.close();
  process.stdin.pause();
  if (isTyped) process.stderr.write("\n");
  return line.slice(0, LONGEST_SECRET + 1);
}

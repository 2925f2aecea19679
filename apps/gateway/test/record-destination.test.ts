import assert from "node:assert/strict";
import { execFileSync, spawn, type ChildProcess, type StdioOptions } from "node:child_process";
import { closeSync, constants, openSync, readFileSync } from "node:fs";
import { once } from "node:events";
import { join } from "node:path";
import { test } from "node:test";
import { systemClock } from "@tidegate/clock";
import { tempFolder } from "@tidegate/testkit";
import { openLogDestination } from "../src/record/log-destination.ts";
import { createLogger } from "../src/record/logger.ts";

const FLOOD = join(import.meta.dirname, "log-flood.ts");

interface Report {
  readonly maxBufferedBytes: number;
  readonly mostBufferedBytes: number;
  readonly droppedWhileRunning: number;
  readonly dropped: number;
  readonly longestMs: number;
  readonly grownBytes: number;
}

/** Floods `stdout` and waits for the process to end by itself. */
async function flood(
  lines: number,
  stdout: "pipe" | number,
): Promise<{ readonly report: Report; readonly child: ChildProcess }> {
  const stdio: StdioOptions = ["ignore", stdout, "pipe"];
  const child = spawn(process.execPath, [FLOOD, String(lines), "1000"], { stdio });
  // A process that does not end is what this test is about: it must not outlive it.
  const killer = setTimeout(() => child.kill("SIGKILL"), 20_000);
  let text = "";
  child.stderr?.setEncoding("utf8").on("data", (part: string) => (text += part));
  const [code] = await once(child, "exit");
  clearTimeout(killer);
  assert.equal(code, 0, `ended with ${code ?? child.signalCode}: ${text}`);
  return { report: JSON.parse(text), child };
}

function assertBounded(report: Report): void {
  assert.ok(report.mostBufferedBytes <= report.maxBufferedBytes);
  assert.ok(report.droppedWhileRunning > 50_000, `dropped ${report.droppedWhileRunning}`);
  assert.ok(report.dropped > report.droppedWhileRunning, "what close() gave up is counted too");
  // 300,000 lines are 135 MB; what is held is 1 MiB, and what the collector has not yet freed.
  assert.ok(report.grownBytes < 80_000_000, `grew by ${report.grownBytes} bytes`);
}

test("a socket that nobody reads costs lines, and neither memory, nor time, nor the end of the process", async () => {
  const { report, child } = await flood(300_000, "pipe");
  assertBounded(report);
  child.stdout?.destroy();
});

test("a pipe that nobody reads costs lines, and neither memory, nor time, nor the end of the process", async () => {
  await using folder = await tempFolder();
  const path = folder.file("pipe");
  execFileSync("mkfifo", [path]);
  // Open for both ways, so that there is a reader, who does not read.
  const descriptor = openSync(path, constants.O_RDWR);
  try {
    const { report } = await flood(300_000, descriptor);
    assertBounded(report);
  } finally {
    closeSync(descriptor);
  }
});

test("a reader that goes away costs lines only", async () => {
  const child = spawn(process.execPath, [FLOOD, "20000", "100"], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  let text = "";
  child.stderr.setEncoding("utf8").on("data", (part: string) => (text += part));
  child.stdout.once("data", () => child.stdout.destroy());
  const [code] = await once(child, "exit");
  assert.equal(code, 0, text);
  const report: Report = JSON.parse(text);
  assert.ok(report.dropped > 0);
});

test("a reader that reads gets every line, whole and in order", async () => {
  const child = spawn(process.execPath, [FLOOD, "3000", "100", "30000"], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  let lines = "";
  let text = "";
  child.stdout.setEncoding("utf8").on("data", (part: string) => (lines += part));
  child.stderr.setEncoding("utf8").on("data", (part: string) => (text += part));
  await once(child, "close");
  const report: Report = JSON.parse(text);
  assert.equal(report.dropped, 0);
  const whole = lines.trimEnd().split("\n");
  assert.equal(whole.length, 3_000);
  for (const line of whole) assert.equal(JSON.parse(line).event, "request");
});

test("a file is appended to, is its owner's alone, and has every line after the log was closed", async () => {
  await using folder = await tempFolder();
  const file = folder.file("gateway.log");
  for (const count of [1, 2]) {
    await using log = createLogger({
      level: "info",
      destination: openLogDestination(file),
      maxBufferedBytes: 1_048_576,
      clock: systemClock,
    });
    for (let line = 0; line < 1_000; line += 1) log.event("info", "test", { count, line });
  }
  assert.equal(readFileSync(file, "utf8").trimEnd().split("\n").length, 2_000);
  assert.throws(() => openLogDestination(folder.file("missing", "gateway.log")), /ENOENT/);
});

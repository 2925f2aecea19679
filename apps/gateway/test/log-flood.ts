// Run by `record-destination.test.ts`: floods its standard output with log lines, and says on the other output what
// became of them. Arguments: how many lines, how many at once, and how long its end may wait for a reader.

import { setImmediate } from "node:timers/promises";
import { systemClock } from "@tidegate/clock";
import { openLogDestination } from "../src/record/log-destination.ts";
import { createLogger } from "../src/record/logger.ts";
import { requestFixture } from "../src/record/record-fixture.ts";
import { requestLine } from "../src/record/request-line.ts";

const [lines, atOnce, closeDeadlineMs = 300] = process.argv.slice(2).map(Number);
const maxBufferedBytes = 1_048_576;
const log = createLogger({
  level: "info",
  destination: openLogDestination("stdout"),
  maxBufferedBytes,
  clock: systemClock,
  closeDeadlineMs,
});
const record = requestFixture();
let mostBufferedBytes = 0;
let longestMs = 0;
const rssBefore = process.memoryUsage.rss();
for (let written = 0; written < lines!; written += atOnce!) {
  const startMs = performance.now();
  for (let count = 0; count < atOnce!; count += 1) {
    log.line(requestLine(record, "info", log.timestamp()));
  }
  longestMs = Math.max(longestMs, performance.now() - startMs);
  mostBufferedBytes = Math.max(mostBufferedBytes, log.bufferedBytes);
  await setImmediate();
}
const droppedWhileRunning = log.droppedLines;
await log[Symbol.asyncDispose]();
const report = {
  maxBufferedBytes,
  mostBufferedBytes,
  droppedWhileRunning,
  dropped: log.droppedLines,
  longestMs,
  grownBytes: process.memoryUsage.rss() - rssBefore,
};
process.stderr.write(JSON.stringify(report));

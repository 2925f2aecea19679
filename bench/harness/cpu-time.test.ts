import assert from "node:assert/strict";
import { test } from "node:test";
import { cpuMicroseconds, residentBytes } from "./cpu-time.ts";

test("cpuMicroseconds() says of this process what the kernel's own count says", () => {
  const before = cpuMicroseconds(process.pid);
  const usageBefore = process.cpuUsage();
  const endMs = performance.now() + 100;
  while (performance.now() < endMs);
  const { user, system } = process.cpuUsage(usageBefore);
  const measured = cpuMicroseconds(process.pid) - before;
  assert.ok(measured > 1_000);
  // Both count the same time; the kernel's own count may lag by a tick.
  assert.ok(Math.abs(measured - (user + system)) < 25_000, `${measured} and ${user + system}`);
});

test("residentBytes() is in bytes", () => {
  const measured = residentBytes(process.pid);
  assert.ok(Math.abs(measured / process.memoryUsage.rss() - 1) < 0.5);
});

#!/usr/bin/env node
// @ts-check
// The command `tidegate`, for whatever Node (20 or later) the shell finds: runs src/cli/main.ts with the pinned one.

import { spawn } from "node:child_process";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const main = join(dirname(fileURLToPath(import.meta.url)), "..", "src", "cli", "main.ts");
const pinned = findPinned();

if (pinned.version === process.versions.node) {
  await import(main);
} else {
  const child = spawn(pinned.path, [main, ...process.argv.slice(2)], {
    // The fourth carries IPC, when whoever called opened a channel.
    stdio: process.send ? ["inherit", "inherit", "inherit", "ipc"] : "inherit",
  });
  // A terminal sends Ctrl-C to both of us; what is sent to this process alone must reach the gateway too.
  process.on("SIGINT", () => {});
  for (const signal of /** @type {const} */ (["SIGTERM", "SIGHUP"])) {
    process.on(signal, () => void child.kill(signal));
  }
  child.on("message", (message) => process.send?.(message));
  process.on("disconnect", () => child.connected && child.disconnect());
  child.on("error", (error) => stop(`Cannot run ${pinned.path}: ${error.message}`));
  child.on("exit", (code, signal) => {
    if (signal === null) process.exit(code ?? 1);
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
  });
}

/** The runtime that the package pins for this platform. */
function findPinned() {
  const name = `node-${process.platform}-${process.arch}`;
  try {
    const manifest = createRequire(import.meta.url).resolve(`${name}/package.json`);
    const { version } = createRequire(manifest)(manifest);
    return { version: String(version), path: join(dirname(manifest), "bin", "node") };
  } catch {
    return stop(`Cannot run here: ${name}, the pinned runtime, is not installed.`);
  }
}

/** @param {string} reason @returns {never} */
function stop(reason) {
  console.error(`tidegate: ${reason}`);
  process.exit(1);
}

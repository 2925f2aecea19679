import { systemClock, systemRandom } from "@tidegate/clock";
import { openBrowser, processTerminal as terminal } from "./process-terminal.ts";
import { runCommand } from "./run-command.ts";
import { startCommand, type ProcessLife } from "./start-command.ts";
import type { ExitCode } from "./terminal.ts";

// The process `tidegate`: its arguments, signals and IPC channel, handed to what does the work.

const life: ProcessLife = {
  onSignal(signal, listener) {
    process.on(signal, listener);
    return { [Symbol.dispose]: () => void process.off(signal, listener) };
  },
  onDisconnect(listener) {
    process.on("disconnect", listener);
    return { [Symbol.dispose]: () => void process.off("disconnect", listener) };
  },
  tellParent: (message) => void process.send?.(message),
  end: (code) => process.exit(code),
};

// A reader that went away (`tidegate check | head`) is not an error of ours.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
});

process.exitCode = await runCommand(process.argv.slice(2), terminal, {
  async start(file): Promise<ExitCode> {
    const { createGateway } = await import("../gateway.ts");
    const parts = { terminal, life, clock: systemClock, random: systemRandom, createGateway };
    return startCommand(parts, { file });
  },
  async token(call): Promise<ExitCode> {
    const { tokenCommand } = await import("./token-command.ts");
    const parts = { terminal, clock: systemClock, random: systemRandom, openBrowser };
    return tokenCommand(parts, call);
  },
});
// The channel to the starter would keep this process alive with nothing left to do.
if (process.connected) process.disconnect?.();

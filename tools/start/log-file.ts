import {
  closeSync,
  copyFileSync,
  ftruncateSync,
  openSync,
  fstatSync,
  readFileSync,
  writeSync,
} from "node:fs";

/** Where a service's output goes. The service writes to the file itself, so that it never waits for the launcher. */
export interface LogFile extends Disposable {
  readonly path: string;
  /** A descriptor opened for appending. */
  readonly descriptor: number;
  /** The last lines, for a person who has to know why something ended. */
  tail(lines: number): string;
  /** Writes a line of the launcher's own. */
  note(line: string): void;
  /** Moves the content to `<path>.1` when there is too much of it. */
  keepSmall(): void;
}

// Enough for an hour of a busy demo, and with the one older file bounded at twice that.
const MAX_BYTES = 32 * 1024 * 1024;

/** Opens the file for appending, mode 0600. */
export function openLogFile(path: string): LogFile {
  const descriptor = openSync(path, "a", 0o600);
  const log: LogFile = {
    path,
    descriptor,
    tail: (lines) => readFileSync(path, "utf8").trimEnd().split("\n").slice(-lines).join("\n"),
    note: (line) => void writeSync(descriptor, `${line}\n`),
    keepSmall() {
      if (fstatSync(descriptor).size <= MAX_BYTES) return;
      // Lines written between these two calls are lost; the service itself never stops for it.
      copyFileSync(path, `${path}.1`);
      ftruncateSync(descriptor, 0);
    },
    [Symbol.dispose]: () => closeSync(descriptor),
  };
  log.keepSmall();
  return log;
}

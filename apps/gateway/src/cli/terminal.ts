import type { Environment } from "../config/config-source.ts";

/** What a command knows of the world: where it was called, and where it may write. The process's own is in `main.ts`. */
export interface Terminal {
  readonly workingFolder: string;
  readonly environment: Environment;
  /** One line for whoever called, on standard output. */
  print(line: string): void;
  /** One line about what went wrong, on standard error. */
  complain(line: string): void;
  /** The first line of standard input; typed without echo where a person sits there. At most 1,024 characters. */
  readSecret(prompt: string): Promise<string>;
}

/** What the shell is told. The documents name them: scripts depend on these numbers. */
export const EXIT = {
  fine: 0,
  /** What was asked for failed: a bad configuration, a port that is taken. */
  failed: 1,
  /** The call itself was wrong: an unknown command, a missing argument. */
  usage: 2,
} as const;
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** How a bench was called. */
export interface BenchOptions {
  /** Fewer rounds: within 60 s. */
  readonly isQuick: boolean;
  /** Compares answers and measures nothing; for the tests. */
  readonly isCheckOnly: boolean;
}

/** @throws {Error} for an option that is none */
export function readOptions(args: readonly string[]): BenchOptions {
  for (const arg of args) {
    if (arg !== "--quick" && arg !== "--check") {
      throw new Error(`Cannot take ${arg}: the options are --quick and --check`);
    }
  }
  return { isQuick: args.includes("--quick"), isCheckOnly: args.includes("--check") };
}

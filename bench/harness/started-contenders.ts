import { freePort, waitFor } from "@tidegate/testkit";
import { startContender, type Contender } from "./contender.ts";
import type { Cores } from "./pinning.ts";

/** The servers of a comparison, started one after the other and ended together. */
export interface Started extends AsyncDisposable {
  readonly all: readonly Contender[];
  /**
   * Starts one on a free port, and waits until it serves.
   * @param command what to run, with the port it is to listen on
   * @throws {Error} with its output when it does not serve within 15 s
   */
  readonly start: (
    name: string,
    command: (port: number) => Promise<readonly string[]>,
  ) => Promise<void>;
}

/** @param options.serves whether what listens there does what is to be measured; may throw while it does not */
export function startedContenders(options: {
  readonly cores: Cores;
  /** What is waited for, in words. */
  readonly what: string;
  readonly serves: (port: number) => Promise<boolean>;
}): Started {
  const { cores, what, serves } = options;
  const stack = new AsyncDisposableStack();
  const all: Contender[] = [];
  return {
    all,
    async start(name, command) {
      const port = await freePort();
      const contender = await startContender({
        name,
        port,
        command: await command(port),
        cores,
        core: "server",
        env: { NODE_ENV: "production" },
      });
      stack.use(contender);
      await waitFor(() => serves(port), {
        what: `${name} ${what}`,
        deadlineMs: 15_000,
        everyMs: 50,
      }).catch((cause: unknown) => {
        throw new Error(`Cannot use ${name}: ${contender.output()}`, { cause });
      });
      all.push(contender);
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

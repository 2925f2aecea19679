// Runs inside the process of a test file and tells the runner about every test, through the IPC channel.

import { inspect } from "node:util";
import type { TestEvent } from "node:test/reporters";

/** What the runner learns about one test, or about the whole file when it is through. */
export type Report =
  | { readonly kind: "passed" | "skipped"; readonly name: string; readonly reason?: string }
  | { readonly kind: "failed"; readonly name: string; readonly error: string }
  // Every test known so far is through; more may come while the file is still loading.
  | { readonly kind: "idle" }
  | { readonly kind: "finished" };

export default async function* report(source: AsyncIterable<TestEvent>): AsyncGenerator<never> {
  const parents: string[] = [];
  let waiting = 0;
  for await (const event of source) {
    const one = toReport(event, parents);
    if (one) process.send?.(one);
    if (event.type === "test:enqueue" && event.data.nesting === 0) waiting += 1;
    const isEnd = event.type === "test:pass" || event.type === "test:fail";
    if (isEnd && event.data.nesting === 0) {
      waiting -= 1;
      if (waiting === 0) process.send?.({ kind: "idle" } satisfies Report);
    }
  }
  process.send?.({ kind: "finished" } satisfies Report);
  // A reporter has to be a generator; this one has nothing to print.
  yield* [];
}

function toReport(event: TestEvent, parents: string[]): Report | undefined {
  switch (event.type) {
    case "test:start":
      parents[event.data.nesting] = event.data.name;
      return undefined;
    case "test:pass": {
      // Suites are counted by their tests.
      if (event.data.details.type === "suite") return undefined;
      const name = [...parents.slice(0, event.data.nesting), event.data.name].join(" > ");
      const { skip, todo } = event.data;
      if (skip === undefined && todo === undefined) return { kind: "passed", name };
      const reason = skip === undefined ? `to do: ${String(todo)}` : String(skip);
      return { kind: "skipped", name, reason };
    }
    case "test:fail": {
      const name = [...parents.slice(0, event.data.nesting), event.data.name].join(" > ");
      const { error } = event.data.details;
      // A suite, or a test with failing subtests, fails for their sake; they have been counted.
      if ("failureType" in error && error.failureType === "subtestsFailed") return undefined;
      return { kind: "failed", name, error: describe(error) };
    }
    default:
      return undefined;
  }
}

function describe(error: Error): string {
  const cause = error.cause ?? error;
  if (!(cause instanceof Error)) return inspect(cause);
  const deeper = cause.cause instanceof Error ? `\ncaused by ${cause.cause.stack}` : "";
  return `${cause.stack ?? cause.message}${deeper}`;
}

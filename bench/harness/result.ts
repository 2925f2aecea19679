import type { Machine } from "./machine.ts";

/** The last line a bench prints. */
export interface BenchResult {
  readonly question: string;
  readonly ours: unknown;
  readonly peers: Readonly<Record<string, unknown>>;
  /** Ours ÷ the peer's. */
  readonly ratio: Readonly<Record<string, number>>;
  readonly unit: string;
  /** That results were compared before they were timed. */
  readonly checked: true;
  readonly machine: Machine;
  readonly versions: Readonly<Record<string, string>>;
}

/** Prints it as one line; it must be the last thing printed. */
export function printResult(result: BenchResult & Readonly<Record<string, unknown>>): void {
  process.stdout.write(`${JSON.stringify(result)}\n`);
}

/** @returns what is wrong with a last line; empty when it is a result of that question */
export function faultsOfResult(line: string, question: string): string[] {
  let result: unknown;
  try {
    result = JSON.parse(line);
  } catch {
    return ["it is not JSON"];
  }
  if (typeof result !== "object" || result === null) return ["it is not an object"];
  const fields = new Map<string, unknown>(Object.entries(result));
  const faults: string[] = [];
  const expect = (name: string, isGood: (value: unknown) => boolean, what: string): void => {
    if (!isGood(fields.get(name))) faults.push(`"${name}" is not ${what}`);
  };
  const isObject = (value: unknown): value is object =>
    typeof value === "object" && value !== null && !Array.isArray(value);
  expect("question", (value) => value === question, JSON.stringify(question));
  expect("ours", (value) => value !== undefined && value !== null, "there");
  expect("peers", isObject, "an object");
  expect(
    "ratio",
    (value) => isObject(value) && Object.values(value).every((one) => Number.isFinite(one)),
    "an object of numbers",
  );
  expect("unit", (value) => typeof value === "string" && value !== "", "a unit");
  expect("checked", (value) => value === true, "true");
  expect("machine", isObject, "an object");
  expect("versions", isObject, "an object");
  return faults;
}

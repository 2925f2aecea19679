import type { z } from "zod";
import type { ConfigPath } from "./config-error.ts";
import { didYouMean } from "./did-you-mean.ts";
import { allowedText, childOf, keysOf, noteAt } from "./schema-notes.ts";
import { kindOf } from "./show-value.ts";

type Issue = z.core.$ZodIssue;

/** What the schema found, with a whole path and in our words. */
export interface Finding {
  readonly path: ConfigPath;
  readonly reason: string;
  readonly allowed?: string | undefined;
  /** The key itself is wrong, not what stands behind it. Its value is not shown: nobody knows what it is. */
  readonly isAboutKey?: boolean;
  /** The reason has a part of the value in it. */
  readonly quotesValue?: boolean;
  /** What type was wanted where another one stands. */
  readonly expected?: string;
}

/** Puts what the schema says about `value` into words; alternatives are reduced to the one that was meant. */
export function explainIssues(issues: readonly Issue[], value: unknown): Finding[] {
  return issues.flatMap((issue) => explain(issue, issue.path.map(toStep), value));
}

function explain(issue: Issue, path: ConfigPath, value: unknown): Finding[] {
  const found = at(path, value);
  const note = noteAt(path, value);
  const allowed = note && allowedText(note);
  const isMissing = found === undefined && path.length > 0;
  switch (issue.code) {
    case "unrecognized_keys":
      return issue.keys.map((key) => explainKey(key, path, note && keysOf(note)));
    case "invalid_key":
      return [
        {
          path,
          reason: issue.issues.map((inner) => inner.message).join("; "),
          allowed: NAME_RULE,
          isAboutKey: true,
        },
      ];
    case "invalid_union": {
      const meant = issue.errors.find((branch) =>
        branch.some((inner) => inner.path.length > 0 || inner.code === "unrecognized_keys"),
      );
      if (meant !== undefined && typeof found === "object") {
        return meant.flatMap((inner) =>
          explain(inner, [...path, ...inner.path.map(toStep)], value),
        );
      }
      if (isMissing) return [{ path, reason: "is missing", allowed }];
      const options = "options" in issue ? (issue.options ?? []).map(String) : namesIn(issue);
      return [{ path, reason: notOneOf(found, options), allowed }];
    }
    case "invalid_type":
      if (isMissing) return [{ path, reason: "is missing", allowed }];
      return [
        {
          path,
          reason: `is ${describe(found, issue.expected)}`,
          allowed,
          expected: issue.expected,
        },
      ];
    case "invalid_value":
      if (isMissing) return [{ path, reason: "is missing", allowed }];
      return [{ path, reason: notOneOf(found, issue.values.map(String)), allowed }];
    case "too_small":
      return [{ path, reason: tooSmall(issue.origin, Number(issue.minimum)), allowed }];
    case "too_big":
      return [{ path, reason: tooBig(issue.origin, Number(issue.maximum)), allowed }];
    case "custom": {
      const quotesValue = issue.params?.["quotesValue"] === true;
      return [{ path, reason: issue.message, allowed, quotesValue }];
    }
    default:
      return [{ path, reason: issue.message, allowed }];
  }
}

/** The words that an alternative would have taken. */
function namesIn({ errors }: Extract<Issue, { code: "invalid_union" }>): string[] {
  return errors
    .flat()
    .flatMap((inner) =>
      inner.code === "invalid_value" && inner.path.length === 0 ? inner.values.map(String) : [],
    );
}

function explainKey(key: string, path: ConfigPath, known: readonly string[] = []): Finding {
  const meant = didYouMean(key, known);
  const hint = meant === undefined ? "" : `; did you mean \`${meant}\`?`;
  return {
    path: [...path, key],
    reason: `is not a key here${hint}`,
    allowed: known.length > 0 ? known.join(", ") : undefined,
    isAboutKey: true,
  };
}

const NAME_RULE =
  "a name: lower-case letters, digits and hyphens, beginning with a letter, at most 63";

function notOneOf(found: unknown, options: readonly string[]): string {
  if (typeof found !== "string") return `is ${kindOf(found)}, which cannot stand here`;
  const meant = didYouMean(found, options);
  return `is not one of what is allowed${meant === undefined ? "" : `; did you mean "${meant}"?`}`;
}

function describe(found: unknown, expected: string): string {
  if (expected === "int" && typeof found === "number") return "not a whole number";
  return `${kindOf(found)}, not ${EXPECTED[expected] ?? expected}`;
}

const EXPECTED: Readonly<Record<string, string>> = {
  string: "text",
  number: "a number",
  int: "a whole number",
  boolean: "true or false",
  array: "a list",
  object: "an object",
  record: "an object",
};

function tooSmall(origin: string, minimum: number): string {
  if (origin === "array") return `has fewer than ${minimum}`;
  if (origin === "string") return minimum === 1 ? "is empty" : `is shorter than ${minimum}`;
  return `is less than ${minimum}`;
}

function tooBig(origin: string, maximum: number): string {
  if (origin === "array") return `has more than ${maximum}`;
  if (origin === "string") return `is longer than ${maximum} characters`;
  return `is more than ${maximum}`;
}

const toStep = (step: PropertyKey): string | number =>
  typeof step === "symbol" ? String(step) : step;

function at(path: ConfigPath, value: unknown): unknown {
  let current = value;
  for (const step of path) current = childOf(current, step);
  return current;
}

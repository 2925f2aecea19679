import { createHash } from "node:crypto";
import type { AnyFunction } from "./frozen.ts";

/** What a limit needs to have for a name to be made of it. */
export type NameableLimit = (
  | {
      readonly kind: "bucket";
      readonly rate: { readonly count: number; readonly seconds: number };
      readonly burst: number;
    }
  | { readonly kind: "window"; readonly limit: number; readonly seconds: number }
  | {
      readonly kind: "quota";
      readonly limit: number;
      readonly period: string;
      readonly timeZone?: string | undefined;
    }
  | { readonly kind: "concurrency"; readonly limit: number }
) & {
  /** Undefined where it is wrong. */
  readonly per?: string | readonly (string | undefined)[] | AnyFunction | undefined;
  readonly cost?: string | undefined;
  readonly name?: string | undefined;
  /** Sockets only. */
  readonly class?: string;
  readonly from?: string;
};

/**
 * What the `RateLimit` fields, metrics and logs call a limit: its own name, or one made of all that tells it apart,
 * such as `user-100-per-60s-burst-100` or `connection-client-text-bytes-5-per-1s`. Two limits of one place get the same
 * made name only when they are the same limit twice.
 */
export function limitName(limit: NameableLimit): string {
  if (limit.name !== undefined) return limit.name;
  const numbers = numbersOf(limit);
  const bytes = limit.cost === "byte" ? "bytes" : undefined;
  const parts = [keyName(limit.per), limit.from, limit.class, bytes, numbers];
  const made = parts.filter((part) => part !== undefined).join("-");
  if (made.length <= LONGEST_NAME) return made;
  const digest = createHash("sha256").update(made).digest("hex").slice(0, 8);
  return `${made.slice(0, LONGEST_NAME - 9)}-${digest}`;
}

function keyName(per: NameableLimit["per"]): string | undefined {
  if (typeof per === "function") return "own";
  return typeof per === "object" ? per.join("-") : per;
}

function numbersOf(limit: NameableLimit): string {
  switch (limit.kind) {
    case "bucket":
      return `${amount(limit.rate.count)}-per-${amount(limit.rate.seconds)}s-burst-${amount(limit.burst)}`;
    case "window":
      return `${amount(limit.limit)}-in-${amount(limit.seconds)}s`;
    case "quota": {
      const zone = limit.timeZone ?? "UTC";
      const where = zone === "UTC" ? "" : `-${zone.toLowerCase().replaceAll(/[^a-z0-9]+/g, "-")}`;
      return `${amount(limit.limit)}-per-${limit.period}${where}`;
    }
    case "concurrency":
      return `${amount(limit.limit)}-at-once`;
  }
}

// What a written name may have at most, and what fields and metrics take.
const LONGEST_NAME = 63;

// A name has no dots: 0.5 is written 0p5.
const amount = (value: number): string => String(value).replace(".", "p").replace("e-", "em");

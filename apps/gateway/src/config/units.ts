import { z } from "zod";

// Each kind of value carries two notes beside its type: `unit`, and `rule`, which says in words what a pattern or a
// check demands. Messages, `docs/config.md` and nothing else read them.

/** A wait in milliseconds. At most a day, so that no timer can overflow. */
export const milliseconds = (byDefault: number, { min = 1, max = 86_400_000 } = {}) =>
  z.int().min(min).max(max).default(byDefault).meta({ unit: "milliseconds" });

/** A size in bytes. */
export const bytes = (byDefault: number, { min, max }: { min: number; max: number }) =>
  z.int().min(min).max(max).default(byDefault).meta({ unit: "bytes" });

/** A number of things, or of `unit`. */
export const count = (min: number, max: number, byDefault: number, unit?: string) =>
  z
    .int()
    .min(min)
    .max(max)
    .default(byDefault)
    .meta(unit === undefined ? {} : { unit });

export const tcpPort = (byDefault: number) => z.int().min(0).max(65_535).default(byDefault);

/** What things of the configuration are called by others: safe as a metric label, a file name and an audience. */
export const name = z
  .string()
  .regex(/^[a-z][a-z0-9-]{0,62}$/, "is not a name")
  .meta({
    rule: "a name: lower-case letters, digits and hyphens, beginning with a letter, at most 63",
  });

/**
 * Marks an issue whose message has a part of the value in it: such a message is not shown when the value came from the
 * environment, because it may be a secret.
 */
export const QUOTES_VALUE = { quotesValue: true };

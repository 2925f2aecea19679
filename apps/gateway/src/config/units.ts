import { z } from "zod";

/** A wait in milliseconds. At most a day, so that no timer can overflow. */
export const milliseconds = (byDefault: number) =>
  z.int().min(1).max(86_400_000).default(byDefault);

/** A size in bytes. */
export const bytes = (byDefault: number, { min, max }: { min: number; max: number }) =>
  z.int().min(min).max(max).default(byDefault);

/** A number of things. */
export const count = (min: number, max: number, byDefault: number) =>
  z.int().min(min).max(max).default(byDefault);

/** What things of the configuration are called by others: safe as a metric label, a file name and an audience. */
export const name = z
  .string()
  .regex(
    /^[a-z][a-z0-9-]{0,62}$/,
    "lower-case letters, digits and hyphens, beginning with a letter, at most 63",
  );

import { z } from "zod";

/**
 * A function in the configuration. The notes of the schema say that it is one; editors of JSON and YAML never offer it.
 * @param rule what it is, in words
 */
export function functionSchema<Kind>(rule: string): z.ZodType<Kind, Kind> {
  const isFunction = (value: unknown): boolean => typeof value === "function";
  return z.custom<Kind>(isFunction).meta({ rule, isFunction: true });
}

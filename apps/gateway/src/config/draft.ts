import { catch as withFallback, z } from "zod";
import type { AnyFunction } from "./frozen.ts";
import { configSchema, type GatewayConfig } from "./schema.ts";

/** `T` as far as it could be understood: whatever is wrong, or was never written, is undefined. */
export type Draft<T> = T extends AnyFunction
  ? T
  : T extends readonly (infer Element)[]
    ? readonly (Draft<Element> | undefined)[]
    : T extends object
      ? { readonly [Key in keyof T]?: Draft<T[Key]> | undefined }
      : T;

/**
 * Reads what is right in a configuration and leaves out what is not, with list positions kept. So what several keys must
 * be together is checked even where another key is wrong, and one message can hold every mistake.
 */
export function readDraft(value: unknown): Draft<GatewayConfig> {
  const result = z.safeParse(draftSchema, value);
  return isDraft(result.data) ? result.data : {};
}

/** The lenient schema cannot say in types what it reads; it reads nothing else. */
function isDraft(value: unknown): value is Draft<GatewayConfig> {
  return typeof value === "object" && value !== null;
}

type Schema = z.core.$ZodType;

/** The same schema with every part optional, and undefined in place of what is wrong. Defaults are kept. */
function lenient(schema: Schema): Schema {
  if (schema instanceof z.ZodPipe) return lenient(schema.in);
  if (schema instanceof z.ZodOptional) return z.optional(lenient(schema.unwrap()));
  if (schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault) {
    const { defaultValue } = schema.def;
    const inner = lenient(schema.unwrap());
    return z.preprocess((written) => (written === undefined ? defaultValue : written), inner);
  }
  return withFallback(lenientParts(schema), undefined);
}

function lenientParts(schema: Schema): Schema {
  if (schema instanceof z.ZodObject) return lenientObject(schema.shape);
  if (schema instanceof z.ZodArray) return z.array(lenient(schema.element));
  if (schema instanceof z.ZodRecord) return z.record(z.string(), lenient(schema.valueType));
  // The choices themselves stay strict about being meant, or the first one would take everything.
  if (schema instanceof z.ZodUnion) return z.union(schema.options.map(lenientParts));
  return schema;
}

function lenientObject(shape: Readonly<Record<string, Schema>>): Schema {
  const parts = Object.entries(shape).map(([key, part]) => [
    key,
    // `kind` decides between choices.
    part instanceof z.ZodLiteral ? part : lenient(part),
  ]);
  return z.object(Object.fromEntries(parts));
}

const draftSchema = lenient(configSchema);

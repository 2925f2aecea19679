import { z } from "zod";
import type { ConfigPath } from "./config-error.ts";
import { configSchema } from "./schema.ts";

/** The schema as JSON Schema of what people write, with the notes `unit` and `rule` of `units.ts`. */
export type SchemaNote = z.core.JSONSchema.BaseSchema;

export const configNotes: SchemaNote = z.toJSONSchema(configSchema, {
  io: "input",
  // Functions; their notes say so.
  unrepresentable: "any",
});

/**
 * The part of the schema that rules over `path`. Where there is a choice (`kind`), `value`, which is the whole
 * configuration, decides it.
 * @returns undefined where the schema has nothing, behind an unknown key for example
 */
export function noteAt(path: ConfigPath, value: unknown): SchemaNote | undefined {
  let note: SchemaNote | undefined = configNotes;
  let current = value;
  for (const step of path) {
    note = note && stepInto(choose(note, current), step);
    current = childOf(current, step);
  }
  return note && choose(note, current);
}

/** The value at one step, read without running anything: no getters, no prototypes. */
export function childOf(value: unknown, step: string | number): unknown {
  if (typeof value !== "object" || value === null) return undefined;
  return Object.getOwnPropertyDescriptor(value, step)?.value;
}

/** The keys that an object here may have; empty where the keys are names of one's own. */
export function keysOf(note: SchemaNote): string[] {
  return Object.keys(note.properties ?? {});
}

/** What is allowed, in words: "a whole number from 0 to 65535". */
export function allowedText(note: SchemaNote): string {
  const rule = note["rule"];
  if (note.type === "array" && isNote(note.items)) {
    const least = note.minItems === undefined ? "" : `, at least ${note.minItems}`;
    return `a list${least}; each: ${allowedText(note.items)}`;
  }
  if (typeof rule === "string") return rule;
  if (note.const !== undefined) return JSON.stringify(note.const);
  if (note.enum !== undefined) return note.enum.map((one) => JSON.stringify(one)).join(", ");
  const choices = note.oneOf ?? note.anyOf;
  if (choices !== undefined) return choices.filter(isNote).map(allowedText).join(", or ");
  switch (note.type) {
    case "integer":
      return `a whole number from ${note.minimum} to ${note.maximum}`;
    case "number":
      return `a number from ${note.minimum} to ${note.maximum}`;
    case "boolean":
      return "true, false";
    case "string":
      return note.minLength === 1 ? "text, not empty" : "text";
    case "object":
      return objectText(note);
    default:
      return "";
  }
}

function objectText(note: SchemaNote): string {
  const keys = keysOf(note);
  if (keys.length === 0) return "an object whose keys are names of your own";
  const kind = note.properties?.["kind"];
  const named = isNote(kind) && kind.const !== undefined ? ` of kind ${allowedText(kind)}` : "";
  return `an object${named} with ${keys.join(", ")}`;
}

/** Whether a sub-schema says anything; `true` and `false` are schemas too. */
export function isNote(note: unknown): note is SchemaNote {
  return typeof note === "object" && note !== null;
}

function choose(note: SchemaNote, value: unknown): SchemaNote {
  const choices = (note.oneOf ?? note.anyOf)?.filter(isNote);
  if (choices === undefined || typeof value !== "object" || value === null) return note;
  if (Array.isArray(value)) return choices.find((choice) => choice.type === "array") ?? note;
  const objects = choices.filter((choice) => choice.type === "object");
  const kind = childOf(value, "kind");
  const named = objects.find((choice) => {
    const wanted = choice.properties?.["kind"];
    return isNote(wanted) && wanted.const === kind;
  });
  if (named !== undefined) return named;
  return objects.length === 1 ? (objects[0] ?? note) : note;
}

function stepInto(note: SchemaNote, step: string | number): SchemaNote | undefined {
  if (typeof step === "number") return isNote(note.items) ? note.items : undefined;
  // The choice is still open: its own key is what all choices have.
  const choices = (note.oneOf ?? note.anyOf)?.filter(isNote);
  if (choices !== undefined && step === "kind") {
    const values = choices.map((choice) => choice.properties?.[step]).filter(isNote);
    return { enum: values.map((one) => one.const ?? "") };
  }
  const own = note.properties?.[step];
  if (isNote(own)) return own;
  return isNote(note.additionalProperties) ? note.additionalProperties : undefined;
}

import { configNotes } from "../src/config/schema-notes.ts";

/**
 * The JSON Schema that editors complete and check configurations with. It is looser than the gateway: every number and
 * truth value may also be a reference to the environment, and what several keys must be together is not in it.
 */
export function editorSchema(): string {
  const schema = loosen(configNotes);
  const properties = isObject(schema["properties"]) ? schema["properties"] : {};
  const whole = {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    title: "Configuration of Tidegate",
    ...schema,
    properties: {
      $schema: { type: "string", description: "Where this schema is." },
      ...properties,
    },
  };
  return `${JSON.stringify(whole, null, 2)}\n`;
}

type Json = Readonly<Record<string, unknown>>;

const REFERENCE = {
  type: "string",
  pattern: "\\$\\{[A-Za-z_][A-Za-z0-9_]*(:-[^}]*)?\\}",
  description: "A reference to the environment: ${NAME}, or ${NAME:-default}.",
};

function loosen(note: Json): Json {
  const { $schema: _, unit, rule, ...plain } = note;
  const notes = [unit, rule].filter((text) => typeof text === "string");
  const { description: line } = plain;
  const description = [
    ...(typeof line === "string" ? [line] : []),
    ...notes.map((text) => `(${text})`),
  ].join(" ");
  const inner = Object.fromEntries(
    Object.entries(plain).map(([key, value]) => [key, loosenPart(key, value)]),
  );
  const loosened = description === "" ? inner : { ...inner, description };
  const isScalar = ["integer", "number", "boolean"].includes(String(note["type"]));
  if (isScalar) {
    const { description: text, default: byDefault, ...rest } = loosened as Json;
    return {
      ...(text === undefined ? {} : { description: text }),
      ...(byDefault === undefined ? {} : { default: byDefault }),
      anyOf: [rest, REFERENCE],
    };
  }
  // Text with a reference in it is what the pattern says only once the environment is put in.
  if (note["type"] === "string" && "pattern" in loosened) {
    const { pattern, ...rest } = loosened as Json;
    return { ...rest, anyOf: [{ pattern }, REFERENCE] };
  }
  return loosened;
}

function loosenPart(key: string, value: unknown): unknown {
  if (key === "properties" && isObject(value)) {
    return Object.fromEntries(
      Object.entries(value).map(([name, part]) => [name, isObject(part) ? loosen(part) : part]),
    );
  }
  if (key === "oneOf" || key === "anyOf") {
    return Array.isArray(value)
      ? value
          .filter((part) => !isFunction(part))
          .map((part) => (isObject(part) ? loosen(part) : part))
      : value;
  }
  // Names are keys, where the environment is not put in.
  if ((key === "items" || key === "additionalProperties") && isObject(value)) return loosen(value);
  return value;
}

/** JSON and YAML have none. */
const isFunction = (part: unknown): boolean => isObject(part) && part["isFunction"] === true;

const isObject = (value: unknown): value is Json =>
  typeof value === "object" && value !== null && !Array.isArray(value);

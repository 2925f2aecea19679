import { Ajv2020, type ErrorObject, type ValidateFunction } from "ajv/dist/2020.js";
import formats from "ajv-formats";
import type { Mistake } from "./fault.ts";

/** Where in a request a schema applies: bodies are taken literally, the rest is text that must be read as numbers and lists. */
export type RequestPart = "body" | "querystring" | "params" | "headers";

/** Compiles JSON Schema 2020-12 for one part of a request. */
export type Validators = (schema: object, part: RequestPart) => ValidateFunction;

// A hostile body may break a rule at every element; the first twenty tell an honest client enough.
const MOST_MISTAKES = 20;

/** Validators for a service's schemas. Unknown members are refused by the schemas themselves (`additionalProperties: false`), never dropped. */
export function createValidators(): Validators {
  const body = createAjv({ coerceTypes: false });
  // "array" reads ?tag=a as a list of one, as ?tag=a&tag=b is a list of two.
  const text = createAjv({ coerceTypes: "array" });
  return (schema, part) => (part === "body" ? body : text).compile(schema);
}

/** A validator for documents and messages that no coercion may touch. */
export function createStrictAjv(): Ajv2020 {
  return createAjv({ coerceTypes: false });
}

function createAjv(options: { readonly coerceTypes: false | "array" }): Ajv2020 {
  const ajv = new Ajv2020({
    strict: true,
    // Types of a union (`string | null`) are ordinary in JSON Schema 2020-12.
    allowUnionTypes: true,
    allErrors: true,
    useDefaults: true,
    removeAdditional: false,
    ...options,
  });
  formats.default(ajv, ["date", "date-time", "uuid", "uri", "uri-reference"]);
  // OpenAPI's annotations are no rules.
  ajv.addVocabulary(["example"]);
  return ajv;
}

/** What the validator found, as a client can use it. Values sent are not repeated: they may be secrets, or long. */
export function toMistakes(errors: readonly ErrorObject[], part: RequestPart): Mistake[] {
  const prefix = PREFIXES[part];
  const mistakes = new Map<string, Mistake>();
  for (const error of errors) {
    // The branches of a union say nothing that the union's own line does not.
    if (/\/(anyOf|oneOf)\/\d+\//.test(error.schemaPath)) continue;
    const pointer = prefix + toUriFragment(error.instancePath + missingOrExtra(error));
    const mistake = { pointer, detail: toDetail(error) };
    mistakes.set(`${mistake.pointer} ${mistake.detail}`, mistake);
    if (mistakes.size >= MOST_MISTAKES) break;
  }
  return [...mistakes.values()];
}

const PREFIXES = {
  body: "#",
  querystring: "#/query",
  params: "#/path",
  headers: "#/header",
} as const satisfies Record<RequestPart, string>;

function missingOrExtra(error: ErrorObject): string {
  const { additionalProperty, missingProperty } = error.params as Record<string, unknown>;
  const name = error.keyword === "required" ? missingProperty : additionalProperty;
  // RFC 6901 §3: these two characters are escaped in a reference token. A long invented name is cut.
  return typeof name === "string"
    ? `/${name.slice(0, 100).replaceAll("~", "~0").replaceAll("/", "~1")}`
    : "";
}

// RFC 6901 §6: as a fragment the pointer is UTF-8, percent-encoded. A cut pair of surrogates cannot be encoded, hence toWellFormed.
function toUriFragment(pointer: string): string {
  return encodeURI(pointer.toWellFormed()).replaceAll("#", "%23").replaceAll("?", "%3F");
}

function toDetail(error: ErrorObject): string {
  const params = error.params as Record<string, unknown>;
  switch (error.keyword) {
    case "required":
      return "is required";
    case "additionalProperties":
      return "is not a known member";
    case "enum":
      return `must be one of ${[params["allowedValues"]].flat().map(String).join(", ")}`;
    case "const":
      return `must be ${JSON.stringify(params["allowedValue"])}`;
    case "pattern":
      return "has characters that are not allowed here, or none that show";
    case "anyOf":
      return "fits none of the allowed forms";
    default:
      return error.message ?? `breaks the rule ${error.keyword}`;
  }
}

/** A JSON object as it came: any member may be anything. */
export type JsonObject = Readonly<Record<string, unknown>>;

/** Whether `value` is a JSON object; an array is none, because checks of absent members would pass over it. */
export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** `T` with nothing in it that can be assigned to, all the way down. */
export type Frozen<T> = T extends AnyFunction
  ? T
  : T extends readonly (infer Element)[]
    ? readonly Frozen<Element>[]
    : T extends object
      ? { readonly [Key in keyof T]: Frozen<T[Key]> }
      : T;

/** A function is itself, whatever it takes. */
export type AnyFunction = (...parameters: never[]) => unknown;

/**
 * Freezes `value` and everything in it. For plain data that is a tree of bounded depth, as the schema's output is.
 * @returns `value` itself
 */
export function deepFreeze<T>(value: T): Frozen<T>;
export function deepFreeze(value: unknown): unknown {
  if (typeof value === "object" && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const inner of Object.values(value)) deepFreeze(inner);
  }
  return value;
}

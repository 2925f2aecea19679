/** How one variable is read. `read` answers the value, or throws the reason why not. */
export interface Variable<Value> {
  readonly describe: string;
  /** The text used when the variable is absent; without it the variable is required. */
  readonly default?: string | undefined;
  read(text: string): Value;
}

export type Variables = Readonly<Record<string, Variable<unknown>>>;
export type Read<V extends Variables> = {
  readonly [Name in keyof V]: V[Name] extends Variable<infer Value> ? Value : never;
};

/**
 * Reads a whole environment once and freezes it.
 * Variables that begin with `prefix` but are not known are mistakes too: a misspelled safety setting must not pass for its default.
 * @throws {Error} one message with every problem: name, what was found, what is allowed. Values are not repeated, they may be secrets
 */
export function readEnvironment<V extends Variables>(
  variables: V,
  environment: Readonly<Record<string, string | undefined>>,
  options: { readonly prefix: string },
): Read<V> {
  const values: Record<string, unknown> = {};
  const problems: string[] = [];
  for (const [name, variable] of Object.entries(variables)) {
    const given = environment[name] ?? variable.default;
    if (given === undefined) {
      problems.push(`${name} is missing: ${variable.describe}`);
      continue;
    }
    try {
      values[name] = variable.read(given);
    } catch (reason) {
      const why = reason instanceof Error ? reason.message : "cannot be read";
      problems.push(`${name} ${why}: ${variable.describe}`);
    }
  }
  for (const name of Object.keys(environment)) {
    if (name.startsWith(options.prefix) && !Object.hasOwn(variables, name)) {
      problems.push(`${name} is not known; known are ${Object.keys(variables).join(", ")}`);
    }
  }
  if (problems.length > 0) {
    throw new Error(`Cannot start: the environment has mistakes\n  ${problems.join("\n  ")}`);
  }
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the loop above has read each name of V
  return Object.freeze(values) as Read<V>;
}

export function text(describe: string, fallback?: string): Variable<string> {
  return {
    describe,
    default: fallback,
    read(value) {
      if (value === "") throw new Error("is empty");
      return value;
    },
  };
}

/** A whole number in [min, max]. */
export function integer(
  describe: string,
  range: { readonly min: number; readonly max: number; readonly default?: number },
): Variable<number> {
  return {
    describe,
    default: range.default?.toString(),
    read(value) {
      const number = Number(value);
      if (!/^\d+$/.test(value) || number < range.min || number > range.max) {
        throw new Error(`is not a whole number from ${range.min} to ${range.max}`);
      }
      return number;
    },
  };
}

export function choice<const Option extends string>(
  describe: string,
  options: readonly Option[],
  fallback?: Option,
): Variable<Option> {
  return {
    describe,
    default: fallback,
    read(value) {
      const found = options.find((option) => option === value);
      if (found === undefined) throw new Error(`is none of ${options.join(", ")}`);
      return found;
    },
  };
}

/** An absolute http or https URL. */
export function httpUrl(describe: string, fallback?: string): Variable<URL> {
  return {
    describe,
    default: fallback,
    read(value) {
      const url = URL.parse(value);
      if (url === null || (url.protocol !== "http:" && url.protocol !== "https:")) {
        throw new Error("is not an absolute http or https URL");
      }
      if (url.username !== "" || url.password !== "") throw new Error("has a credential in it");
      return url;
    },
  };
}

export function flag(describe: string): Variable<boolean> {
  return {
    describe,
    default: "false",
    read(value) {
      if (value !== "true" && value !== "false") throw new Error("is neither true nor false");
      return value === "true";
    },
  };
}

import type { Environment } from "./config-source.ts";

export interface Interpolated {
  readonly text: string;
  /** Whether anything of the environment is in `text`. */
  readonly isFromEnvironment: boolean;
  /** Why it could not be done; `text` is then as it was written. */
  readonly problem: string | undefined;
}

/**
 * Puts the environment into one text: `${NAME}`, which must be set, and `${NAME:-default}`, which takes the default
 * when it is unset or empty, as in a shell. `$${` stands for `${` itself. What is put in is not looked at again.
 */
export function interpolate(written: string, environment: Environment): Interpolated {
  if (!written.includes("${")) {
    return { text: written, isFromEnvironment: false, problem: undefined };
  }
  let problem: string | undefined;
  let isFromEnvironment = false;
  const text = written.replaceAll(REFERENCE, (whole, name?: string, byDefault?: string) => {
    if (whole === "$${") return "${";
    if (name === undefined) {
      problem ??=
        "has a `${` without a name and `}` after it; write `$${` for the characters alone";
      return whole;
    }
    isFromEnvironment = true;
    // Own properties only: `${constructor}` names nothing.
    const value = Object.hasOwn(environment, name) ? environment[name] : undefined;
    if (value !== undefined && (value !== "" || byDefault === undefined)) return value;
    if (byDefault === undefined)
      problem ??= `needs the environment variable ${name}, which is not set`;
    return byDefault ?? whole;
  });
  return problem === undefined
    ? { text, isFromEnvironment, problem }
    : { text: written, isFromEnvironment: true, problem };
}

const REFERENCE = /\$\$\{|\$\{(?:([A-Za-z_][A-Za-z0-9_]{0,127})(?::-([^}]*))?\})?/g;

import { formatPath, type ConfigPath } from "./config-error.ts";
import { runConfigAgain, type ConfigModules } from "./config-modules.ts";
import { childOf } from "./schema-notes.ts";
import type { GatewayConfig } from "./schema.ts";

// A configuration that is a module may have functions. They cannot be sent to a thread, so threads get the data, and take
// each function from their own run of the same text, by its place (`routes[3].limits[0].per`). Whatever the functions are
// for, nothing here knows.

/** A configuration as it can be sent to a thread. */
export interface PortableConfig {
  /** With nothing in the place of functions. */
  readonly data: GatewayConfig;
  /** Where the functions stand. */
  readonly paths: readonly ConfigPath[];
  /** What must be run to have them; undefined when there are none. */
  readonly modules: ConfigModules | undefined;
}

/**
 * @throws {Error} when there are functions and nobody knows a file to run for them, because the configuration was made in
 *   a program
 */
export function toPortable(config: GatewayConfig): PortableConfig {
  const paths = functionPathsOf(config);
  const [first] = paths;
  if (first === undefined) return { data: config, paths, modules: undefined };
  const modules = origins.get(config);
  if (modules === undefined)
    throw new Error(
      `Cannot serve on worker threads: ${formatPath(first)} is a function, and functions cannot be sent to a thread. ` +
        "Put the configuration into a file of its own and load it with `loadConfig(file)`, so that every thread can run it, " +
        "or serve on this thread with `threads: 0`",
    );
  return { data: withoutFunctions(config) as GatewayConfig, paths, modules };
}

/**
 * The configuration again, on the thread that it was sent to. Not frozen.
 * @throws {Error} when what runs here is not what ran there, or a function is not where it was
 */
export async function fromPortable({
  data,
  paths,
  modules,
}: PortableConfig): Promise<GatewayConfig> {
  if (modules === undefined) return data;
  const value = (await runConfigAgain(modules))["default"];
  for (const path of paths) {
    const found = at(path, value);
    if (typeof found !== "function")
      throw new Error(`Cannot use ${modules.file}: ${formatPath(path)} is no function here`);
    const holder = at(path.slice(0, -1), data);
    Object.assign(holder as object, { [path.at(-1) as string]: found });
  }
  return data;
}

/** Notes what was run to have this configuration. */
export function noteOrigin(config: GatewayConfig, modules: ConfigModules): void {
  origins.set(config, modules);
}

function functionPathsOf(value: unknown, path: ConfigPath = []): ConfigPath[] {
  if (typeof value === "function") return [path];
  if (typeof value !== "object" || value === null) return [];
  const isList = Array.isArray(value);
  return Object.entries(value).flatMap(([key, inner]) =>
    functionPathsOf(inner, [...path, isList ? Number(key) : key]),
  );
}

function withoutFunctions(value: unknown): unknown {
  if (typeof value === "function") return null;
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(withoutFunctions);
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [key, withoutFunctions(inner)]),
  );
}

function at(path: ConfigPath, value: unknown): unknown {
  let current = value;
  for (const step of path) current = childOf(current, step);
  return current;
}

/** What was run, by the configuration that came of it. */
const origins = new WeakMap<GatewayConfig, ConfigModules>();

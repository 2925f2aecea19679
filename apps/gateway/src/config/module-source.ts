import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { registerHooks } from "node:module";
import { pathToFileURL } from "node:url";
import { ConfigError, fileMistake, firstLineOf, type Position } from "./config-error.ts";
import { type ConfigSource, valueSource } from "./config-source.ts";

/**
 * Runs a configuration that is a module and takes its default export. The file may lie in any folder: its import
 * `tidegate` is this running gateway, with no node_modules around. A file that changed is run again; one that did not
 * is not, so that every reader of the same content sees the same functions.
 * @throws {ConfigError}
 */
export async function readModuleSource(file: string): Promise<ConfigSource> {
  const content = await readFile(file).catch((cause: unknown) => {
    throw new ConfigError(file, [fileMistake(`cannot be read: ${firstLineOf(cause)}`)], { cause });
  });
  const url = pathToFileURL(file);
  url.searchParams.set(
    CONFIG_MARK,
    createHash("sha256").update(content).digest("hex").slice(0, 16),
  );
  mapTidegateImport();
  let module: unknown;
  try {
    module = await import(url.href);
  } catch (cause) {
    const reason = `failed while it was loaded: ${firstLineOf(cause)}`;
    throw new ConfigError(file, [fileMistake(reason, positionIn(file, cause))], { cause });
  }
  const value = isNamespace(module) ? module.default : undefined;
  if (value === undefined) {
    const reason = "has no default export; write `export default defineGateway({ … })`";
    throw new ConfigError(file, [fileMistake(reason)]);
  }
  return valueSource(value);
}

function isNamespace(module: unknown): module is { readonly default: unknown } {
  return typeof module === "object" && module !== null && "default" in module;
}

let isMapped = false;

/** Makes `import … from "tidegate"` mean this gateway, whoever asks. Holds for this thread; safe to call again. */
export function mapTidegateImport(): void {
  if (isMapped) return;
  isMapped = true;
  const url = new URL("../index.ts", import.meta.url).href;
  registerHooks({
    resolve(specifier, context, nextResolve) {
      if (specifier === "tidegate") return { url, shortCircuit: true };
      const resolved = nextResolve(specifier, context);
      if (!specifier.includes(`?${CONFIG_MARK}=`)) return resolved;
      // A configuration is a module, whatever a package.json around it says about its own files.
      return { ...resolved, format: /\.m?ts\?/.test(specifier) ? "module-typescript" : "module" };
    },
  });
}

// Marks the address of a configuration, together with the hash of its content.
const CONFIG_MARK = "tidegate-config";

// A syntax error names its place in the first line of the stack, any other in the first frame within the file.
function positionIn(file: string, error: unknown): Position | undefined {
  if (!(error instanceof Error) || error.stack === undefined) return undefined;
  const name = RegExp.escape(file);
  const frame = new RegExp(`${name}(?:\\?[\\w=-]+)?:(\\d+)(?::(\\d+))?`).exec(error.stack);
  return frame === null ? undefined : { line: Number(frame[1]), column: Number(frame[2] ?? 1) };
}

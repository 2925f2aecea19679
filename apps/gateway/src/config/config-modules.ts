import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { createRequire, registerHooks } from "node:module";
import { fileURLToPath, pathToFileURL } from "node:url";

// A configuration that is a module is more than data: it may have functions, which cannot be sent to a thread. So the
// text of what was run is kept, and other threads run the same text. What is kept, and what the digest is over: the file,
// and every module that it imports, directly or through others, by a relative or absolute path outside `node_modules`.
// Not in it: packages, what a CommonJS module requires, files that are read, modules that a function imports later.

/** What was run, text and all; can be sent to a thread. */
export interface ConfigModules {
  readonly file: string;
  /** SHA-256 over address, format and text of every module, hexadecimal. */
  readonly digest: string;
  readonly modules: readonly ConfigModule[];
  readonly resolutions: readonly Resolution[];
}

interface ConfigModule {
  /** Address of the file. */
  readonly url: string;
  readonly format: string;
  readonly source: Uint8Array;
}

/** Where an import led: the address of a local module. */
interface Resolution {
  readonly from: string;
  readonly specifier: string;
  readonly url: string;
}

/** A module's exports. */
export type Namespace = Readonly<Record<string, unknown>>;

export interface ConfigRun {
  readonly namespace: Namespace;
  readonly modules: ConfigModules;
}

/**
 * Runs a configuration and keeps the text of it. When nothing of that text changed since the last time, nothing is run
 * and the same exports are given again: whoever reads the same content sees the same functions.
 * @throws what the module throws, and {Error} when there is too much of it
 */
export async function runConfig(file: string): Promise<ConfigRun> {
  const known = runs.get(file);
  if (known !== undefined && isUnchanged(known.modules)) return known;
  if (known !== undefined) forget(known.modules);
  const run = await runRecorded(file, undefined);
  runs.delete(file);
  runs.set(file, run);
  const [oldest] = runs.keys();
  if (runs.size > MOST_KEPT_RUNS && oldest !== undefined) runs.delete(oldest);
  return run;
}

/**
 * Runs, on another thread, exactly what was run before, whatever the files hold by now.
 * @throws {Error} when this thread would run other modules than the first one did
 */
export async function runConfigAgain(modules: ConfigModules): Promise<Namespace> {
  forget(modules);
  const run = await runRecorded(modules.file, modules);
  if (run.modules.digest !== modules.digest)
    throw new Error(
      `Cannot use ${modules.file}: it imports other modules on this thread than on the main thread`,
    );
  return run.namespace;
}

/** Makes `import … from "tidegate"` mean this gateway, whoever asks. Holds for this thread; safe to call again. */
export function mapTidegateImport(): void {
  if (isMapped) return;
  isMapped = true;
  registerHooks({
    resolve(specifier, context, nextResolve) {
      if (specifier === "tidegate") {
        const isAgain = recordingOf(context.parentURL)?.isAgain === true;
        return { url: isAgain ? THREAD_DOOR : GATEWAY, shortCircuit: true };
      }
      const root = recordingOf(specifier);
      if (root !== undefined) {
        // A configuration is a module, whatever a package.json around it says about its own files.
        const format = /\.m?ts\?/.test(specifier) ? "module-typescript" : "module";
        return { url: specifier, format, shortCircuit: true };
      }
      const recording = recordingOf(context.parentURL);
      if (recording === undefined || !IS_PATH.test(specifier))
        return nextResolve(specifier, context);
      return recording.resolve(specifier, unmarked(context.parentURL ?? ""), () =>
        nextResolve(specifier, context),
      );
    },
    load(url, context, nextLoad) {
      const recording = recordingOf(url);
      return recording === undefined
        ? nextLoad(url, context)
        : recording.load(unmarked(url), () => nextLoad(url, context));
    },
  });
}

type Resolved = ReturnType<NonNullable<Parameters<typeof registerHooks>[0]["resolve"]>>;
type Loaded = ReturnType<NonNullable<Parameters<typeof registerHooks>[0]["load"]>>;

/** One run of a configuration: what it asked for, and what it got. */
class Recording {
  readonly #mark: string;
  readonly #given: ReadonlyMap<string, ConfigModule> | undefined;
  readonly #givenResolutions: ReadonlyMap<string, Resolution> | undefined;
  readonly #modules = new Map<string, ConfigModule>();
  readonly #resolutions = new Map<string, Resolution>();
  #bytes = 0;

  /** @param given what must be run; undefined: what the files hold */
  constructor(mark: string, given: ConfigModules | undefined) {
    this.#mark = mark;
    if (given === undefined) return;
    this.#given = new Map(given.modules.map((module) => [module.url, module]));
    this.#givenResolutions = new Map(given.resolutions.map((one) => [keyOf(one), one]));
  }

  /** Whether another thread has run it, and this one does so for its functions alone. */
  get isAgain(): boolean {
    return this.#given !== undefined;
  }

  resolve(specifier: string, from: string, next: () => Resolved): Resolved {
    const key = keyOf({ specifier, from });
    const known = this.#givenResolutions?.get(key);
    const resolved = known === undefined ? next() : { url: known.url, shortCircuit: true };
    const { url } = resolved;
    if (!url.startsWith("file:") || url.includes("/node_modules/")) return resolved;
    this.#resolutions.set(key, { from, specifier, url });
    return { ...resolved, url: `${url}${url.includes("?") ? "&" : "?"}${this.#mark}` };
  }

  load(url: string, next: () => Loaded): Loaded {
    const given = this.#given?.get(url);
    if (given !== undefined) {
      this.#modules.set(url, given);
      return { format: given.format, source: given.source, shortCircuit: true };
    }
    if (this.#given !== undefined)
      throw new Error(`${url} was not part of the configuration when the gateway loaded it`);
    const loaded = next();
    // A CommonJS module's text may be left to be read later; then the file is what will be read.
    const source = Buffer.from((loaded.source as string | Uint8Array) ?? readFileSync(pathOf(url)));
    this.#bytes += source.length;
    if (this.#modules.size >= MOST_MODULES || this.#bytes > MOST_BYTES)
      throw new Error(`it imports more than ${MOST_MODULES} modules or ${MOST_BYTES} bytes`);
    this.#modules.set(url, { url, format: loaded.format ?? "", source: Uint8Array.from(source) });
    return loaded;
  }

  end(file: string): ConfigModules {
    const modules = [...this.#modules.values()].toSorted((a, b) => (a.url < b.url ? -1 : 1));
    const hash = createHash("sha256");
    for (const { url, format, source } of modules)
      hash.update(JSON.stringify([url, format, source.length])).update(source);
    const resolutions = [...this.#resolutions.values()];
    return { file, digest: hash.digest("hex"), modules, resolutions };
  }
}

async function runRecorded(file: string, given: ConfigModules | undefined): Promise<ConfigRun> {
  mapTidegateImport();
  const id = String(++lastId);
  const url = pathToFileURL(file);
  url.searchParams.set(MARK, id);
  const recording = new Recording(`${MARK}=${id}`, given);
  recordings.set(id, recording);
  try {
    const namespace = (await import(url.href)) as Namespace;
    return { namespace, modules: recording.end(file) };
  } finally {
    // What a function imports later is not part of it any more.
    recordings.delete(id);
  }
}

/** CommonJS modules are kept by their file, whatever their address says: without this they would not run again. */
function forget({ modules }: ConfigModules): void {
  const { cache } = createRequire(import.meta.url);
  for (const { url, format } of modules)
    if (format.startsWith("commonjs")) delete cache[pathOf(url)];
}

function isUnchanged({ modules }: ConfigModules): boolean {
  return modules.every(({ url, source }) => {
    try {
      return readFileSync(pathOf(url)).equals(source);
    } catch {
      return false;
    }
  });
}

const keyOf = ({ from, specifier }: Pick<Resolution, "from" | "specifier">): string =>
  `${from}\n${specifier}`;

const pathOf = (url: string): string => fileURLToPath(new URL(url));

function recordingOf(url: string | undefined): Recording | undefined {
  const id = url === undefined ? undefined : MARKED.exec(url)?.[1];
  return id === undefined ? undefined : recordings.get(id);
}

const unmarked = (url: string): string => url.replace(MARKED, "");

let isMapped = false;
let lastId = 0;
/** Runs under way: as many as there are readers at once. */
const recordings = new Map<string, Recording>();
/** By file; the oldest leave. A process reads one file, tests some. */
const runs = new Map<string, ConfigRun>();
const MOST_KEPT_RUNS = 16;

const GATEWAY = new URL("../index.ts", import.meta.url).href;
const THREAD_DOOR = new URL("./thread-door.ts", import.meta.url).href;
// Marks the address of a configuration and its modules: each run is one of its own, whatever ran before.
const MARK = "tidegate-config";
const MARKED = new RegExp(`[?&]${MARK}=(\\d+)`);
/** What is not a package's name. */
const IS_PATH = /^(?:\.{0,2}\/|file:|#)/;
// Far more than a configuration has; less than what would be felt when it is sent to every thread.
const MOST_MODULES = 256;
const MOST_BYTES = 4_194_304;

import { isAlias, isMap, isScalar, isSeq, type Document } from "yaml";
import { fileMistake, type ConfigPath, type Mistake, type Position } from "./config-error.ts";
import type { Environment } from "./config-source.ts";
import { interpolate } from "./interpolate.ts";

// The schema is 7 deep. Refused beyond, so that walking cannot exhaust the stack.
const MAX_DEPTH = 32;
// Values after every alias was followed: what stops a few lines of nested aliases from becoming gigabytes.
const MAX_VALUES = 100_000;

/** From a document to plain data, once, with every bound. */
export class DocumentWalk {
  readonly mistakes: Mistake[] = [];
  /** Set when going on makes no sense: too deep or too much. */
  fatal: Mistake | undefined;

  readonly #document: Document.Parsed;
  readonly #environment: Environment;
  readonly #toPosition: (offset: number) => Position;
  /** Offsets in the text by path, bounded by `MAX_VALUES`. */
  readonly #keyOffsets = new Map<string, number>();
  readonly #valueOffsets = new Map<string, number>();
  /** Texts that had a reference to the environment, as written, by path. */
  readonly #written = new Map<string, string>();
  #values = 0;

  constructor(
    document: Document.Parsed,
    options: { environment: Environment; toPosition: (offset: number) => Position },
  ) {
    this.#document = document;
    this.#environment = options.environment;
    this.#toPosition = options.toPosition;
  }

  read(): unknown {
    return this.#read(this.#document.contents, []);
  }

  positionOf(path: ConfigPath, part: "key" | "value"): Position | undefined {
    const own = part === "key" ? this.#keyOffsets.get(keyOf(path)) : undefined;
    if (own !== undefined) return this.#toPosition(own);
    for (let length = path.length; length >= 0; length -= 1) {
      const offset = this.#valueOffsets.get(keyOf(path.slice(0, length)));
      if (offset !== undefined) return this.#toPosition(offset);
    }
    return undefined;
  }

  writtenAs(path: ConfigPath): string | undefined {
    return this.#written.get(keyOf(path));
  }

  #read(node: unknown, path: ConfigPath): unknown {
    this.#values += 1;
    if (path.length > MAX_DEPTH) this.#stop(path, `is nested deeper than ${MAX_DEPTH}`);
    if (this.#values > MAX_VALUES) this.#stop([], `has more than ${MAX_VALUES} values`);
    if (this.fatal !== undefined) return undefined;
    if (hasRange(node)) this.#valueOffsets.set(keyOf(path), node.range[0]);

    if (isAlias(node)) {
      const target = node.resolve(this.#document);
      if (target === undefined)
        this.#refuse(path, `refers to \`${node.source}\`, which is not set before`);
      return target === undefined ? undefined : this.#read(target, path);
    }
    if (isSeq(node))
      return node.items.map((item, position) => this.#read(item, [...path, position]));
    if (isMap(node)) return this.#readMap(node.items, path);
    if (!isScalar(node)) return null;
    return typeof node.value === "string" ? this.#readText(node.value, path) : node.value;
  }

  #readMap(items: readonly { key: unknown; value: unknown }[], path: ConfigPath): unknown {
    const map: Record<string, unknown> = {};
    for (const { key, value } of items) {
      const name = isScalar(key) ? String(key.value) : undefined;
      if (name === undefined) {
        this.#refuse(path, "has a key that is not a text");
        continue;
      }
      const inner = [...path, name];
      if (hasRange(key)) this.#keyOffsets.set(keyOf(inner), key.range[0]);
      if (name === "__proto__") {
        // Assigning it would change what the object inherits instead of adding a key.
        this.#refuse(inner, "is not a key anywhere", "key");
      } else if (Object.hasOwn(map, name)) {
        this.#refuse(inner, "stands here twice", "key");
      } else {
        map[name] = this.#read(value, inner);
      }
    }
    return map;
  }

  #readText(written: string, path: ConfigPath): string {
    const { text, isFromEnvironment, problem } = interpolate(written, this.#environment);
    if (isFromEnvironment) this.#written.set(keyOf(path), written);
    if (problem !== undefined) this.#refuse(path, problem);
    return text;
  }

  #refuse(path: ConfigPath, reason: string, part: "key" | "value" = "value"): void {
    const position = this.positionOf(path, part);
    this.mistakes.push({ path, value: undefined, reason, allowed: undefined, position });
  }

  #stop(path: ConfigPath, reason: string): void {
    this.fatal ??= fileMistake(reason, this.positionOf(path, "value"));
  }
}

const keyOf = (path: ConfigPath): string => JSON.stringify(path);

function hasRange(node: unknown): node is { readonly range: readonly [number, number, number] } {
  return typeof node === "object" && node !== null && "range" in node && Array.isArray(node.range);
}

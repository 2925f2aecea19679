import { readFile, rename, writeFile } from "node:fs/promises";
import type { Random } from "@tidegate/clock";
import { hashApiKey, makeApiKey, makeApiKeyId } from "./api-key.ts";
import { isJsonObject, type JsonObject } from "./json-object.ts";
import { parseKeysFile } from "./keys-file.ts";

/** Changes a keys file as a whole: a reader sees the old one or the new one. Not for two writers at once. */
export interface KeysFileWriter {
  /** @returns the key, which nobody can read again */
  add(key: {
    readonly name: string;
    readonly scopes: readonly string[];
    readonly expiresAtMs: number | undefined;
  }): Promise<string>;
  /** Makes a new secret; the old one counts until `overlapUntilMs`. @returns the key */
  rotate(name: string, overlapUntilMs: number): Promise<string>;
  setDisabled(name: string, isDisabled: boolean): Promise<void>;
  remove(name: string): Promise<void>;
}

/**
 * @param options.fileName the file's own name; used only when the file is made
 * All of its functions throw an Error when the file or the name cannot be used.
 */
export function keysFileWriter({
  path,
  fileName,
  random,
  nowMs,
}: {
  readonly path: string;
  readonly fileName: string;
  readonly random: Random;
  /** Wall time. */
  readonly nowMs: number;
}): KeysFileWriter {
  const read = async (): Promise<{ document: JsonObject; keys: JsonObject }> => {
    const text = await readFile(path, "utf8").catch((error: unknown) => {
      if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
      throw error;
    });
    if (text === undefined) return { document: { name: fileName }, keys: {} };
    parseKeysFile(text, path);
    const document = JSON.parse(text) as JsonObject;
    return { document, keys: document["keys"] as JsonObject };
  };
  const write = async (document: JsonObject, keys: JsonObject): Promise<void> => {
    const text = `${JSON.stringify({ ...document, keys }, undefined, 2)}\n`;
    parseKeysFile(text, path);
    const draft = `${path}.${random.bytes(8).toString("hex")}`;
    await writeFile(draft, text, { mode: 0o600, flag: "wx", flush: true });
    await rename(draft, path);
  };
  const change = async (
    name: string,
    changed: (entry: JsonObject) => JsonObject | undefined,
  ): Promise<void> => {
    const { document, keys } = await read();
    const entry = Object.hasOwn(keys, name) ? keys[name] : undefined;
    if (!isJsonObject(entry))
      throw new Error(`Cannot change ${name}: no key is called that in ${path}`);
    const next = changed(entry);
    const others = Object.entries(keys).filter(([other]) => other !== name || next !== undefined);
    await write(
      document,
      Object.fromEntries(others.map(([other, old]) => [other, other === name ? next : old])),
    );
  };

  return {
    async add({ name, scopes, expiresAtMs }) {
      const { document, keys } = await read();
      if (Object.hasOwn(keys, name))
        throw new Error(`Cannot add ${name}: a key is called that already; rotate or remove it`);
      const id = makeApiKeyId(random);
      const key = makeApiKey(id, random);
      const entry = {
        id,
        created: timeOf(nowMs),
        scopes,
        ...(expiresAtMs === undefined ? {} : { expires: timeOf(expiresAtMs) }),
        secrets: [{ hash: hashApiKey(key) }],
      };
      await write(document, { ...keys, [name]: entry });
      return key;
    },
    async rotate(name, overlapUntilMs) {
      let key = "";
      await change(name, (entry) => {
        key = makeApiKey(String(entry["id"]), random);
        const old = (entry["secrets"] as JsonObject[]).filter(
          ({ expires }) => typeof expires !== "string" || Date.parse(expires) > nowMs,
        );
        const ending = old.slice(0, MAX_OLD_SECRETS).map((secret) => ({
          ...secret,
          expires: earlier(secret["expires"], timeOf(overlapUntilMs)),
        }));
        const isOver = overlapUntilMs <= nowMs;
        return { ...entry, secrets: [{ hash: hashApiKey(key) }, ...(isOver ? [] : ending)] };
      });
      return key;
    },
    setDisabled: (name, isDisabled) =>
      change(name, ({ disabled: _, ...entry }) =>
        isDisabled ? { ...entry, disabled: true } : entry,
      ),
    remove: (name) => change(name, () => undefined),
  };
}

const timeOf = (ms: number): string => new Date(ms).toISOString();

const earlier = (expires: unknown, other: string): string =>
  typeof expires === "string" && Date.parse(expires) < Date.parse(other) ? expires : other;

/** With the new one, what a file may have. */
const MAX_OLD_SECRETS = 3;

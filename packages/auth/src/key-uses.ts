import { readFile, rename, writeFile } from "node:fs/promises";
import { isJsonObject } from "./json-object.ts";
import type { ApiKey } from "./keys-file.ts";

/** Where it is written when the keys of a file were last used. */
export const keyUsesPath = (keysPath: string): string => `${keysPath}.uses`;

/** When keys were last used, wall milliseconds, by id. Empty when nobody wrote it, or it cannot be read. */
export async function readKeyUses(keysPath: string): Promise<ReadonlyMap<string, number>> {
  const text = await readFile(keyUsesPath(keysPath), "utf8").catch(() => "{}");
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch {
    return new Map(); // cut short by a full disk; what is used again is written again
  }
  const entries = Object.entries(isJsonObject(document) ? document : {});
  return new Map(
    entries.flatMap(([id, time]) => {
      const ms = typeof time === "string" ? Date.parse(time) : Number.NaN;
      return Number.isNaN(ms) ? [] : [[id, ms] as const];
    }),
  );
}

/**
 * Adds what is new, leaves out keys that are gone, and writes the file as a whole. For one writer.
 * @throws {Error} when it cannot be written
 */
export async function writeKeyUses(
  keysPath: string,
  {
    uses,
    known,
  }: { readonly uses: ReadonlyMap<string, number>; readonly known: ReadonlyMap<string, ApiKey> },
): Promise<void> {
  const all = new Map(await readKeyUses(keysPath));
  for (const [id, ms] of uses) all.set(id, ms);
  const document = Object.fromEntries(
    [...all].flatMap(([id, ms]) => (known.has(id) ? [[id, new Date(ms).toISOString()]] : [])),
  );
  const path = keyUsesPath(keysPath);
  await writeFile(`${path}.new`, `${JSON.stringify(document, undefined, 2)}\n`, { mode: 0o600 });
  await rename(`${path}.new`, path);
}

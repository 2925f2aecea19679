import type { Clock } from "@tidegate/clock";
import { parseKeysFile, type ApiKey, type KeysFile } from "./keys-file.ts";
import { watchFile, type WatchedFile } from "./watched-file.ts";

/** The keys file as it is now. Keys whose entry did not change stay the same objects. */
export type KeysSource = WatchedFile<KeysFile>;

/** As `watchFile`. @throws {Error} when it cannot be used at the start */
export function openKeysFile({
  path,
  clock,
  onReload,
}: {
  readonly path: string;
  readonly clock: Clock;
  /** Told about every changed file: undefined when it was taken, else why not. Must not throw. */
  readonly onReload?: (problem: Error | undefined) => void;
}): Promise<KeysSource> {
  return watchFile({
    path,
    what: "keys file",
    clock,
    parse: parseKeysFile,
    follow(before, loaded) {
      if (loaded.issuer !== before.issuer)
        throw new Error(`Cannot use the keys file ${path}: its name changed; restart for that`);
      const keys = new Map<string, ApiKey>();
      for (const [id, key] of loaded.keys) {
        const old = before.keys.get(id);
        keys.set(
          id,
          old !== undefined && old.name === key.name && old.text === key.text ? old : key,
        );
      }
      return { issuer: loaded.issuer, keys };
    },
    onReload,
  });
}

import { openKeysFile, writeKeyUses, type KeysSource } from "@tidegate/auth";
import type { Clock, Timer } from "@tidegate/clock";
import type { GatewayConfig } from "../config/schema.ts";
import { keysReloaded, keyUseNotWritten } from "../record/events.ts";
import type { Log } from "../record/logger.ts";
import type { DataThreads } from "../worker/data-threads.ts";
import { KEYS_USED, type KeyUses } from "./key-use.ts";

/**
 * The main thread's part of API keys: tells the log when a file changed, and writes down, lazily, when keys were last used:
 * in a file beside the keys, whose own file only people change.
 * @throws {Error} when a file cannot be used
 */
export async function openKeyFiles({
  config: { identity },
  dataThreads,
  clock,
  log,
}: {
  readonly config: Pick<GatewayConfig, "identity">;
  readonly dataThreads: DataThreads;
  readonly clock: Clock;
  readonly log: Log;
}): Promise<AsyncDisposable> {
  await using opened = new AsyncDisposableStack();
  const files = new Map<string, { readonly path: string; readonly keys: KeysSource }>();
  for (const [name, issuer] of Object.entries(identity)) {
    if (issuer.kind !== "api-keys") continue;
    const onReload = (problem: Error | undefined): void =>
      keysReloaded(log, { issuer: name, problem });
    const keys = opened.use(await openKeysFile({ path: issuer.file, clock, onReload }));
    files.set(name, { path: issuer.file, keys });
  }

  /** What is not written yet. As many entries as the files have keys. */
  const pending = new Map<string, Map<string, number>>();
  let timer: Timer | undefined;
  // One at a time: the last one of a gateway that stops must not overtake another.
  let writing = Promise.resolve();
  const writeNow = async (): Promise<void> => {
    for (const [name, uses] of pending) {
      pending.delete(name);
      const file = files.get(name);
      if (file === undefined) continue;
      try {
        await writeKeyUses(file.path, { uses, known: file.keys.current.keys });
      } catch (error) {
        const cause = error instanceof Error ? error : new Error(String(error));
        keyUseNotWritten(log, { issuer: name, error: cause });
      }
    }
  };
  const write = (): Promise<void> => {
    timer?.cancel();
    timer = undefined;
    writing = writing.then(writeNow);
    return writing;
  };
  dataThreads.answer(KEYS_USED, (told) => {
    for (const [name, ids] of Object.entries(told as KeyUses)) {
      const uses = pending.get(name) ?? new Map<string, number>();
      for (const [id, ms] of Object.entries(ids)) uses.set(id, Math.max(ms, uses.get(id) ?? 0));
      pending.set(name, uses);
    }
    timer ??= clock.after(WRITE_EVERY_MS, () => void write());
  });
  opened.defer(write);
  return opened.move();
}

/** People ask whether a key is still in use in days, not in seconds. */
const WRITE_EVERY_MS = 30_000;

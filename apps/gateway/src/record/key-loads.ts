import type { KeyLoad } from "@tidegate/auth";
import { issuerFailed, issuerKeysLoaded } from "./events.ts";
import type { Log } from "./logger.ts";

/** Tells the log of every load of an issuer's keys. @param issuer what operators know it by */
export function recordKeyLoads(log: Log, issuer: string): (load: KeyLoad) => void {
  let told = -1;
  return ({ keyCount, error }) => {
    if (error === undefined) {
      // Keys are loaded again every few minutes; only a change is news.
      if (keyCount !== told) issuerKeysLoaded(log, { issuer, keys: keyCount });
      told = keyCount;
      return;
    }
    const cause = error instanceof Error ? error : new Error("the load failed", { cause: error });
    issuerFailed(log, { issuer, error: cause, servesOldKeys: keyCount > 0 });
  };
}

import { systemClock, systemRandom } from "@tidegate/clock";
import { createKeyedLimiter, createLimiter, type LimitDefinition } from "@tidegate/limits";
import { CONTENDERS, type Contender } from "./contenders.ts";

/** Windows of an hour, so that no caller is forgotten before the last one came. Ours takes what the kind needs to remember, so each is measured; the peers keep one counter whatever the limit is. */
const DEFINITIONS: Readonly<Record<string, LimitDefinition>> = {
  "ours-bucket-100": { kind: "bucket", name: "b", count: 100, seconds: 3_600, burst: 100 },
  "ours-quota-day": { kind: "quota", name: "q", limit: 100, period: "day" },
  "ours-window-5": { kind: "window", name: "w", limit: 5, seconds: 3_600 },
  "ours-window-10": { kind: "window", name: "w", limit: 10, seconds: 3_600 },
  "ours-window-100": { kind: "window", name: "w", limit: 100, seconds: 3_600 },
};

const BY_KEY = "ours-by-key-bucket-100";

export const MEMORY_OF_OURS = [...Object.keys(DEFINITIONS), BY_KEY];

export function openForMemory(name: string, maxKeys: number): Contender {
  if (name === BY_KEY) {
    const definitions = [{ ...DEFINITIONS["ours-bucket-100"]!, maxKeys }];
    const limits = createKeyedLimiter({ definitions });
    return each((key) => limits.admits(key));
  }
  const definition = DEFINITIONS[name];
  if (definition === undefined) return CONTENDERS[name]!(10, maxKeys);
  const limiter = createLimiter({
    definitions: [{ ...definition, maxKeys }],
    random: systemRandom,
    clock: systemClock,
    maxHandles: 1_000,
  });
  // As the gateway does it for a request: named, asked, let go.
  return each((key) => {
    const handle = limiter.intern(0, key);
    const isAdmitted = limiter.admits(handle, 1, systemClock.monotonicMs());
    limiter.release(handle);
    return isAdmitted;
  });
}

function each(decide: (key: string) => boolean): Contender {
  return {
    run(keys, calls) {
      let admitted = 0;
      for (let call = 0; call < calls; call++) if (decide(keys[call % keys.length]!)) admitted++;
      return admitted;
    },
  };
}

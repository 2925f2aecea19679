import { randomBytes } from "node:crypto";

/** Randomness as a value that is passed in. */
export interface Random {
  /** `count` unpredictable bytes. */
  bytes(count: number): Buffer;
  /** A number in [0, 1), for jitter only. */
  unit(): number;
}

/** The machine's own randomness. */
export const systemRandom: Random = {
  bytes: (count) => randomBytes(count),
  unit: () => Math.random(),
};

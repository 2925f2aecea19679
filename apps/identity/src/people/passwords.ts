import {
  createDummyHash,
  DEFAULT_COST,
  hashPassword,
  parsePasswordHash,
  verifyPassword,
  type DeriveKey,
  type HashingPool,
} from "@tidegate/auth";
import type { Random } from "@tidegate/clock";
import { isPlausiblePassword, normalisePassword } from "./password-rules.ts";

/** Makes and checks hashes of passwords, all through one bounded pool. `undefined` means busy: nothing was started. */
export interface Passwords {
  /** @param password one that `judgePassword` has nothing against */
  hash(password: string): Promise<string> | undefined;
  /** @param passwordHash undefined for somebody who does not exist: costs the same and answers false */
  verify(password: string, passwordHash: string | undefined): Promise<boolean> | undefined;
}

export function createPasswords(options: {
  readonly pool: HashingPool;
  readonly random: Random;
  /** The platform's scrypt unless a test counts. */
  readonly deriveKey?: DeriveKey;
}): Passwords {
  const { pool, random, deriveKey } = options;
  const how = deriveKey === undefined ? {} : { deriveKey };
  const dummy = createDummyHash(DEFAULT_COST, random);
  return {
    hash: (password) =>
      pool.run(() => hashPassword(normalisePassword(password), { random, ...how })),
    verify(password, passwordHash) {
      const known = passwordHash === undefined ? undefined : parsePasswordHash(passwordHash);
      // What can be nobody's password is hashed all the same, in a short form: a missing hash would tell who exists.
      const isPlausible = isPlausiblePassword(password);
      const text = isPlausible ? normalisePassword(password) : "";
      return pool.run(async () => {
        const fits = await verifyPassword(text, known ?? dummy, deriveKey);
        return fits && isPlausible && known !== undefined;
      });
    },
  };
}

import {
  createHashingPool,
  createPasswordVerifier,
  openUsersFile,
  type PasswordVerifier,
} from "@tidegate/auth";
import type { Clock, Random } from "@tidegate/clock";
import type { UsersFileConfig } from "../config/schema.ts";
import { usersReloaded } from "../record/events.ts";
import type { Log } from "../record/logger.ts";

/** Opens what checks the passwords of one users file. The supervisor does so itself; its workers ask it. */
export type OpenPasswords = (
  name: string,
  issuer: UsersFileConfig,
) => Promise<PasswordVerifier & Partial<Disposable>>;

/**
 * Reads users files and checks passwords here. One pool for all files: the bound on hashes at once is the
 * machine's, so only one thread of a process may do this.
 */
export function passwordsOnThisThread({
  clock,
  random,
  log,
  onChange,
}: {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** A users file changed: who remembers answers must forget them. */
  readonly onChange?: () => void;
}): OpenPasswords {
  const pool = createHashingPool();
  return async (name, issuer) => {
    const users = await openUsersFile({
      path: issuer.file,
      clock,
      onReload(problem) {
        usersReloaded(log, { issuer: name, problem });
        onChange?.();
      },
    });
    const verifier = createPasswordVerifier({ users, pool, clock, random });
    return { ...verifier, [Symbol.dispose]: () => users[Symbol.dispose]() };
  };
}

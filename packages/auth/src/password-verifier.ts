import { createHmac } from "node:crypto";
import { systemRandom, type Clock, type Random } from "@tidegate/clock";
import { createAttemptBackOff } from "./attempt-back-off.ts";
import { parseBasicCredentials, type BasicCredentials } from "./basic-credentials.ts";
import { createBoundedMemory } from "./bounded-memory.ts";
import type { HashingPool } from "./hashing-pool.ts";
import {
  costOf,
  createDummyHash,
  DEFAULT_COST,
  verifyPassword,
  type DeriveKey,
  type PasswordCost,
  type PasswordHash,
} from "./password-hash.ts";
import { untilAborted } from "./until-aborted.ts";
import type { User, UsersFile } from "./users-file.ts";
import type { UsersSource } from "./users-source.ts";
import { invalid, type Accepted, type Verification } from "./verification.ts";

export interface PasswordVerifierOptions {
  readonly users: UsersSource;
  /** Shared by all verifiers of a worker. */
  readonly pool: HashingPool;
  readonly clock: Clock;
  readonly random?: Random;
  readonly deriveKey?: DeriveKey;
}

/** Checks HTTP Basic credentials: against a users file, or by asking a provider. */
export interface PasswordVerifier {
  /** Of the people that it knows: the users file's own, or the provider. */
  readonly issuer: string;
  /**
   * Synchronous when the pair was found good within the last minute, is malformed, or is refused before hashing.
   * @param request.text what stands behind `Basic` in the field
   * @param request.network who tries, for the back-off: the address, or the IPv6 prefix
   * @param request.mayVerify asked before a pair that is not remembered is checked; `busy` when it says no
   * @throws the signal's reason when it is aborted
   */
  verify(
    request: {
      readonly text: string;
      readonly network: string;
      readonly mayVerify?: (() => boolean) | undefined;
    },
    signal: AbortSignal,
  ): Verification | Promise<Verification>;
  /**
   * Until when the pair that gave this fingerprint counts as good without being checked again, monotonic
   * milliseconds; 0 when it does not. For threads that ask this one and remember its answers.
   */
  rememberedUntilMs(fingerprint: string): number;
  /**
   * Forgets every pair that was found good, those that are being checked too: somebody was withdrawn, and nobody knows by
   * which password they come.
   */
  forget(): void;
}

export function createPasswordVerifier({
  users,
  pool,
  clock,
  random = systemRandom,
  deriveKey,
}: PasswordVerifierOptions): PasswordVerifier {
  // Digests are keyed with a secret that only this process has: a dump of the table cannot be searched for weak
  // passwords without it, and nobody outside can compute where an entry lies.
  const secret = random.bytes(32);
  const digestOf = (text: string): string =>
    createHmac("sha256", secret).update(text).digest("base64url");

  const memory = createBoundedMemory<Remembered>({
    maxEntries: MAX_REMEMBERED,
    maxBytes: MAX_REMEMBERED * ENTRY_BYTES,
  });
  const backOff = createAttemptBackOff(clock);
  /** At most as many as the pool holds. */
  const inFlight = new Map<string, Promise<Verification>>();
  /** Rises when everything is forgotten: a check that began before is neither remembered nor shared any more. */
  let epoch = 0;
  const dummyFor = rememberedDummy(random);

  const recall = (digest: string): Accepted | undefined => {
    const entry = memory.get(digest);
    if (entry === undefined) return undefined;
    // A changed or removed user is another object, or none: a new password ends the memory of the old one.
    const { user } = entry;
    if (clock.monotonicMs() < entry.untilMs && users.current.users.get(user.name) === user) {
      return entry.accepted;
    }
    memory.delete(digest);
    return undefined;
  };

  const check = async (
    { user: name, password }: BasicCredentials,
    digest: string,
    pair: string,
  ) => {
    const begunIn = epoch;
    const user = users.current.users.get(name);
    const hash = user?.passwordHash ?? dummyFor(users.current);
    const fits = await verifyPassword(password, hash, deriveKey);
    // The user may have been changed while the hash was made.
    if (!fits || user === undefined || users.current.users.get(name) !== user) {
      return invalid("password");
    }
    backOff.clear(pair);
    const accepted: Accepted = {
      outcome: "accepted",
      principal: user.principal,
      fingerprint: digest,
    };
    const untilMs = clock.monotonicMs() + REMEMBER_MS;
    if (epoch === begunIn) memory.set(digest, { user, accepted, untilMs }, ENTRY_BYTES);
    return accepted;
  };

  return {
    issuer: users.current.issuer,
    rememberedUntilMs: (fingerprint) =>
      recall(fingerprint) === undefined ? 0 : (memory.get(fingerprint)?.untilMs ?? 0),
    forget() {
      epoch++;
      memory.clear();
      inFlight.clear();
    },
    verify({ text, network, mayVerify }, signal) {
      const digest = digestOf(text);
      const remembered = recall(digest);
      if (remembered !== undefined) return remembered;
      const credentials = parseBasicCredentials(text);
      if (credentials === undefined) return invalid("shape");

      // The same guess at the same time is one guess, wherever it comes from.
      const shared = inFlight.get(digest);
      if (shared !== undefined) return untilAborted(shared, signal);

      const pair = `${network} ${digestOf(credentials.user)}`;
      const waitMs = backOff.waitMs(pair);
      if (waitMs > 0) return { outcome: "backed-off", retryAfterMs: waitMs };

      if (mayVerify?.() === false) return { outcome: "busy", retryAfterMs: BUSY_RETRY_AFTER_MS };
      const flight = pool.run(() => check(credentials, digest, pair));
      if (flight === undefined) return { outcome: "busy", retryAfterMs: BUSY_RETRY_AFTER_MS };
      backOff.charge(pair);
      const shareable = flight.finally(() => {
        // After `forget` another one may stand there.
        if (inFlight.get(digest) === shareable) inFlight.delete(digest);
      });
      inFlight.set(digest, shareable);
      return untilAborted(shareable, signal);
    },
  };
}

interface Remembered {
  readonly user: User;
  readonly accepted: Accepted;
  /** Monotonic. */
  readonly untilMs: number;
}

/**
 * The hash that unknown users are checked against, as costly as the costliest of the file: otherwise the time of an
 * answer would tell who exists. Made again only when the file's costs change.
 */
function rememberedDummy(random: Random): (file: UsersFile) => PasswordHash {
  let madeFor: UsersFile | undefined;
  let dummy = createDummyHash(DEFAULT_COST, random);
  return (file) => {
    if (file !== madeFor) {
      madeFor = file;
      dummy = createDummyHash(costliest(file), random);
    }
    return dummy;
  };
}

function costliest({ users }: UsersFile): PasswordCost {
  let most: PasswordCost | undefined;
  for (const { passwordHash } of users.values()) {
    if (most === undefined || costOf(passwordHash) > costOf(most)) most = passwordHash;
  }
  return most ?? DEFAULT_COST;
}

const REMEMBER_MS = 60_000;
/** People active within a minute. When full, the coldest costs a hash again. */
const MAX_REMEMBERED = 10_000;
const ENTRY_BYTES = 512;
/** About the time in which the queue moves on by a third. */
const BUSY_RETRY_AFTER_MS = 1_000;

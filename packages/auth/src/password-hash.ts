import { scrypt, timingSafeEqual } from "node:crypto";
import type { Random } from "@tidegate/clock";

/**
 * Hashes of passwords, as `$scrypt$ln=15,r=8,p=3$<salt>$<key>` (PHC string format, base64 without padding).
 *
 * N = 2^15, r = 8, p = 3: one of the equivalent minimum settings that the OWASP password storage cheat sheet lists,
 * and the one that fits a server: 32 MiB while it runs, so two at once take 64 MiB; about 0.2 s of one core. Larger
 * N with smaller p costs an attacker the same and us more memory at once.
 */
export interface PasswordHash {
  /** N = 2^logN. */
  readonly logN: number;
  readonly blockSize: number;
  readonly parallelism: number;
  readonly salt: Buffer;
  readonly key: Buffer;
}

/** Derives a key; the platform's scrypt, which works outside the event loop's thread. Tests count its calls. */
export type DeriveKey = (password: string, hash: Omit<PasswordHash, "key">) => Promise<Buffer>;

/** @returns the PHC string to be stored */
export async function hashPassword(
  password: string,
  {
    random,
    cost = DEFAULT_COST,
    deriveKey = scryptKey,
  }: { readonly random: Random; readonly cost?: PasswordCost; readonly deriveKey?: DeriveKey },
): Promise<string> {
  const settings = { ...cost, salt: random.bytes(16) };
  const key = await deriveKey(password, settings);
  return formatPasswordHash({ ...settings, key });
}

/** Compares in constant time. */
export async function verifyPassword(
  password: string,
  hash: PasswordHash,
  deriveKey: DeriveKey = scryptKey,
): Promise<boolean> {
  return timingSafeEqual(await deriveKey(password, hash), hash.key);
}

/** A hash that no password fits, for users who do not exist: they must cost as much as those who do. */
export function createDummyHash(cost: PasswordCost, random: Random): PasswordHash {
  const { logN, blockSize, parallelism } = cost;
  return { logN, blockSize, parallelism, salt: random.bytes(16), key: random.bytes(KEY_BYTES) };
}

export type PasswordCost = Pick<PasswordHash, "logN" | "blockSize" | "parallelism">;

export const DEFAULT_COST: PasswordCost = { logN: 15, blockSize: 8, parallelism: 3 };

/** What one hash costs, for comparing: work is in proportion to N·r·p. */
export const costOf = ({ logN, blockSize, parallelism }: PasswordCost): number =>
  2 ** logN * blockSize * parallelism;

/**
 * @returns undefined for anything that is not a hash in our form and within our bounds: too weak would not protect,
 *   too strong would let one line of a file stop the server
 */
export function parsePasswordHash(text: string): PasswordHash | undefined {
  const match = PHC.exec(text);
  if (match === null) return undefined;
  const [logN, blockSize, parallelism] = match.slice(1, 4).map(Number);
  const [salt, key] = match.slice(4, 6).map((part) => Buffer.from(part, "base64"));
  if (
    logN === undefined ||
    blockSize === undefined ||
    parallelism === undefined ||
    salt === undefined ||
    key === undefined
  ) {
    return undefined;
  }
  const hash = { logN, blockSize, parallelism, salt, key };
  const cost = costOf(hash);
  const memoryBytes = 128 * 2 ** logN * blockSize;
  if (cost < MIN_COST || cost > MAX_COST || memoryBytes > MAX_MEMORY_BYTES) return undefined;
  if (salt.length < 16 || key.length !== KEY_BYTES) return undefined;
  return formatPasswordHash(hash) === text ? hash : undefined;
}

function formatPasswordHash({ logN, blockSize, parallelism, salt, key }: PasswordHash): string {
  return `$scrypt$ln=${logN},r=${blockSize},p=${parallelism}$${unpadded(salt)}$${unpadded(key)}`;
}

const unpadded = (bytes: Buffer): string => bytes.toString("base64").replace(/=+$/, "");

const PHC =
  /^\$scrypt\$ln=(\d{1,2}),r=(\d{1,2}),p=(\d{1,2})\$([A-Za-z0-9+/]{1,128})\$([A-Za-z0-9+/]{1,128})$/;
const KEY_BYTES = 32;
/** Half of the default, so that hashes of before a raise stay usable. */
const MIN_COST = 2 ** 15 * 8;
/** Eight times the default: above a second per hash. */
const MAX_COST = 2 ** 15 * 8 * 3 * 8;
const MAX_MEMORY_BYTES = 128 * 1_048_576;

const scryptKey: DeriveKey = (password, { logN, blockSize, parallelism, salt }) =>
  new Promise((resolve, reject) => {
    const options = {
      N: 2 ** logN,
      r: blockSize,
      p: parallelism,
      // The platform counts a little beside the 128·N·r bytes of the algorithm.
      maxmem: 2 * MAX_MEMORY_BYTES,
    };
    scrypt(password, salt, KEY_BYTES, options, (error, key) => {
      if (error === null) resolve(key);
      else reject(error);
    });
  });

import { chmodSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { createCipheriv, createDecipheriv } from "node:crypto";
import { join } from "node:path";
import type { Clock, Random } from "@tidegate/clock";

/**
 * Keeps secret and authentic what leaves memory: tokens on disk, and the flow cookie in browsers. AES-256-GCM with a
 * fresh nonce each time (NIST SP 800-38D §8.2.2: at most 2^32 of them per key, far more than a key seals in its life).
 * Main thread only.
 */
export interface SealingKeys {
  /** @param context what the text belongs to: it opens in no other one */
  seal(text: string, context: string): Buffer;
  /** @returns undefined when it was changed, belongs elsewhere, or its key is gone */
  open(sealed: Uint8Array, context: string): string | undefined;
}

/**
 * Reads the keys, and makes them at the first start. A new key seals once the newest is 30 days old; earlier ones open
 * what they sealed as long as a session can live. Taken up at the start of the gateway.
 * @throws {Error} when the file is there and cannot be used: a new key would silently end every session
 */
export function loadSealingKeys(place: {
  readonly folder: string;
  readonly clock: Clock;
  readonly random: Random;
}): SealingKeys {
  const { folder, clock, random } = place;
  const path = join(folder, FILE);
  const nowMs = clock.wallMs();
  // A key is over when all that it sealed is: its successor then seals for as long as a session can live.
  let keys = readKeys(path).filter((_, index, all) => {
    const successor = all[index - 1];
    return successor === undefined || nowMs - successor.madeMs < LONGEST_SESSION_MS;
  });
  if (keys[0] === undefined || nowMs - keys[0].madeMs > ROTATE_AFTER_MS) {
    keys = [{ id: random.bytes(4), key: random.bytes(32), madeMs: nowMs }, ...keys];
    writeKeys(path, keys, random);
  }
  const [newest] = keys;
  if (newest === undefined) throw new Error(`Cannot use ${path}: no key in it`);
  return {
    seal(text, context) {
      const nonce = random.bytes(NONCE_BYTES);
      const cipher = createCipheriv("aes-256-gcm", newest.key, nonce);
      cipher.setAAD(Buffer.from(context));
      return Buffer.concat([
        newest.id,
        nonce,
        cipher.update(text, "utf8"),
        cipher.final(),
        cipher.getAuthTag(),
      ]);
    },
    open(sealed, context) {
      const bytes = Buffer.from(sealed);
      if (bytes.length < ID_BYTES + NONCE_BYTES + TAG_BYTES) return undefined;
      const key = keys.find(({ id }) => id.equals(bytes.subarray(0, ID_BYTES)));
      if (key === undefined) return undefined;
      const nonce = bytes.subarray(ID_BYTES, ID_BYTES + NONCE_BYTES);
      const decipher = createDecipheriv("aes-256-gcm", key.key, nonce, {
        authTagLength: TAG_BYTES,
      });
      decipher.setAAD(Buffer.from(context));
      decipher.setAuthTag(bytes.subarray(-TAG_BYTES));
      try {
        const text = decipher.update(bytes.subarray(ID_BYTES + NONCE_BYTES, -TAG_BYTES));
        return Buffer.concat([text, decipher.final()]).toString("utf8");
      } catch {
        // The tag does not fit: changed, or sealed for another place.
        return undefined;
      }
    },
  };
}

interface SealingKey {
  readonly id: Buffer;
  readonly key: Buffer;
  readonly madeMs: number;
}

const FILE = "session-keys.json";
const DAY_MS = 86_400_000;
const ROTATE_AFTER_MS = 30 * DAY_MS;
/** `sessions.absoluteTimeoutSeconds` can be no longer. */
const LONGEST_SESSION_MS = 31 * DAY_MS;
const ID_BYTES = 4;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/** Newest first; empty when there is no file yet. */
function readKeys(path: string): SealingKey[] {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return [];
    throw error;
  }
  try {
    const { keys } = JSON.parse(text) as { keys: { id: string; key: string; madeMs: number }[] };
    return keys.map(({ id, key, madeMs }) => {
      const made = {
        id: Buffer.from(id, "base64url"),
        key: Buffer.from(key, "base64url"),
        madeMs,
      };
      if (made.id.length !== ID_BYTES || made.key.length !== 32 || !Number.isFinite(made.madeMs))
        throw new TypeError("not a key");
      return made;
    });
  } catch {
    // The parser's own message may quote the file, which holds keys.
    throw new Error(`Cannot read ${path}: not a key file of this gateway`);
  }
}

function writeKeys(path: string, keys: readonly SealingKey[], random: Random): void {
  mkdirSync(join(path, ".."), { recursive: true, mode: 0o700 });
  const draft = `${path}.${random.bytes(8).toString("hex")}`;
  const entries = keys.map(({ id, key, madeMs }) => ({
    id: id.toString("base64url"),
    key: key.toString("base64url"),
    madeMs,
  }));
  writeFileSync(draft, `${JSON.stringify({ keys: entries }, undefined, 2)}\n`, {
    mode: 0o600,
    flag: "wx",
    flush: true,
  });
  chmodSync(draft, 0o600); // whatever the umask was
  renameSync(draft, path);
}

import { createHash, timingSafeEqual } from "node:crypto";
import { open, type FileHandle } from "node:fs/promises";
import { join } from "node:path";
import type { Random } from "@tidegate/clock";

/** The secret of the admin listener. Its text leaves this object only through `matches`' digest. */
export interface AdminToken {
  /** The file it is kept in, for the operator who needs it. */
  readonly file: string;
  /** Whether `offered` is the token. Takes the same time whatever differs. */
  matches(offered: string): boolean;
}

const FILE_NAME = "admin-token";
const TOKEN_BYTES = 32;
// Whoever writes their own token gets to, but not one that can be guessed.
const MIN_CHARACTERS = 32;
const MAX_CHARACTERS = 256;
const TOKEN = /^[A-Za-z0-9._~+/=-]+$/;

/**
 * Reads `admin-token` in the data folder, and makes it first (mode 0600, 32 random bytes as base64url) when it is
 * not there. Of two processes that start at once, one makes it and both read the same.
 * @throws {Error} when the file cannot be made or read, others than its owner may read it, or it holds no token
 */
export async function loadAdminToken(dataFolder: string, random: Random): Promise<AdminToken> {
  const file = join(dataFolder, FILE_NAME);
  await makeIfMissing(file, random);
  await using handle = await open(file, "r");
  await refuseIfOthersMayRead(file, handle);
  const text = (await readBounded(handle)).trim();
  if (text.length < MIN_CHARACTERS || text.length > MAX_CHARACTERS || !TOKEN.test(text)) {
    throw new Error(
      `Cannot use ${file}: it must hold one token of ${MIN_CHARACTERS} to ${MAX_CHARACTERS} letters, digits or -._~+/=. Remove it and a new one is made.`,
    );
  }
  const expected = digest(text);
  return { file, matches: (offered) => timingSafeEqual(digest(offered), expected) };
}

/** Equal lengths whatever was offered, so that the comparison tells nothing, not even a length. */
const digest = (text: string): Buffer => createHash("sha256").update(text, "utf8").digest();

async function makeIfMissing(file: string, random: Random): Promise<void> {
  let handle: FileHandle;
  try {
    // `wx` refuses what is there, a symbolic link too: nobody can have us write through it.
    handle = await open(file, "wx", 0o600);
  } catch (error) {
    if (isExisting(error)) return;
    throw new Error(`Cannot make the admin token ${file}`, { cause: error });
  }
  try {
    await handle.writeFile(`${random.bytes(TOKEN_BYTES).toString("base64url")}\n`);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

const isExisting = (error: unknown): boolean =>
  error instanceof Error && "code" in error && error.code === "EEXIST";

async function refuseIfOthersMayRead(file: string, handle: FileHandle): Promise<void> {
  const { mode } = await handle.stat();
  if ((mode & 0o077) !== 0) {
    throw new Error(
      `Cannot use ${file}: its mode is ${(mode & 0o777).toString(8)}, so others may read it. Run: chmod 600 ${file}`,
    );
  }
}

/** At most a little more than a token: the file may be anything by mistake. */
async function readBounded(handle: FileHandle): Promise<string> {
  const buffer = Buffer.alloc(MAX_CHARACTERS + 16);
  const { bytesRead } = await handle.read(buffer, 0, buffer.length, 0);
  return buffer.toString("utf8", 0, bytesRead);
}

import { hash, timingSafeEqual } from "node:crypto";
import { crc32 } from "node:zlib";
import type { Random } from "@tidegate/clock";

/**
 * The text of an API key: `tgk_<id>_<secret><checksum>`, all of it letters, digits and underscores, so that a double click
 * selects it and scanners for leaked secrets can find it. The id says which key it is and is no secret; the secret has
 * 190 bits, so that a plain hash protects it; the checksum tells a mistyped key from a wrong one without a look into any
 * list, and lets scanners find no false ones.
 */
export interface ApiKeyText {
  readonly id: string;
  readonly text: string;
}

/** What every key begins with. */
export const API_KEY_PREFIX = "tgk_";

/** A new id: 71 bits, so that no two meet. */
export const makeApiKeyId = (random: Random): string => letters(ID_LENGTH, LOWER, random);

/** A new key with that id. */
export function makeApiKey(id: string, random: Random): string {
  const open = `${API_KEY_PREFIX}${id}_${letters(SECRET_LENGTH, BASE62, random)}`;
  return open + checksum(open);
}

/** @returns undefined unless `text` is a key as `makeApiKey` writes it */
export function parseApiKey(text: string): ApiKeyText | undefined {
  const [, open = "", id = "", sum = ""] = SHAPE.exec(text) ?? [];
  return open !== "" && checksum(open) === sum ? { id, text } : undefined;
}

/** How a key is stored. */
export const hashApiKey = (text: string): string => hash("sha256", text, "base64url");

/** Compares in constant time. @param stored as `hashApiKey` made it */
export function isApiKey(text: string, stored: string): boolean {
  const given = Buffer.from(hashApiKey(text));
  const expected = Buffer.from(stored);
  return given.length === expected.length && timingSafeEqual(given, expected);
}

const LOWER = "abcdefghijklmnopqrstuvwxyz0123456789";
const BASE62 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const ID_LENGTH = 14;
const SECRET_LENGTH = 32;
const SUM_LENGTH = 6;
const SHAPE = new RegExp(
  `^(${API_KEY_PREFIX}([a-z0-9]{${ID_LENGTH}})_[A-Za-z0-9]{${SECRET_LENGTH}})([A-Za-z0-9]{${SUM_LENGTH}})$`,
);

/** CRC-32 in six letters: 62^6 is above 2^32. */
function checksum(open: string): string {
  let rest = crc32(open);
  let text = "";
  for (let at = 0; at < SUM_LENGTH; at++) {
    text = BASE62.charAt(rest % BASE62.length) + text;
    rest = Math.floor(rest / BASE62.length);
  }
  return text;
}

/** Each letter equally likely: bytes beyond the last whole multiple of the alphabet are left out. */
function letters(count: number, alphabet: string, random: Random): string {
  const limit = 256 - (256 % alphabet.length);
  let text = "";
  while (text.length < count) {
    for (const byte of random.bytes(count)) {
      if (byte < limit && text.length < count) text += alphabet.charAt(byte % alphabet.length);
    }
  }
  return text;
}

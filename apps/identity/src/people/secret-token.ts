import { createHash } from "node:crypto";
import type { Random } from "@tidegate/clock";

/** 32 random bytes as text: 43 characters of base64url, nothing to guess. */
export const createSecretToken = (random: Random): string => random.bytes(32).toString("base64url");

/** Whether a text could be one of ours; all else is refused before anything is looked up. */
export const isSecretToken = (text: string): boolean => /^[A-Za-z0-9_-]{43}$/.test(text);

/**
 * What is stored in place of a token: who reads the database has nothing that works. One plain hash is enough, because
 * 256 random bits cannot be searched.
 */
export const hashSecretToken = (token: string): Buffer =>
  createHash("sha256").update(token).digest();

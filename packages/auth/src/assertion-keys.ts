import assert from "node:assert/strict";
import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
} from "node:crypto";
import {
  chmodSync,
  linkSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import type { Clock, Random } from "@tidegate/clock";
import { isJsonObject, type JsonObject } from "./json-object.ts";
import { thumbprintOf } from "./verification-key.ts";

/** One key pair of the gateway. */
export interface AssertionKey {
  /** RFC 7638 thumbprint of the public key. */
  readonly keyId: string;
  readonly privateKey: KeyObject;
  /** Wall time from which it signs; it is published before, so that services know it in time. */
  readonly signsFromMs: number;
}

/** The gateway's keys: one signs, all are published. */
export interface AssertionKeys {
  /** Sorted by `signsFromMs`; never empty. */
  readonly all: readonly AssertionKey[];
  /** The key that signs at `nowMs` (wall time): the latest that has begun. */
  signingKey(nowMs: number): AssertionKey;
  /** The public halves, for `/.tidegate/jwks.json`. Nothing private is in it. */
  readonly jwks: { readonly keys: readonly PublicJwk[] };
}

export interface PublicJwk {
  readonly kty: "OKP";
  readonly crv: "Ed25519";
  readonly x: string;
  readonly kid: string;
  readonly use: "sig";
  readonly alg: "EdDSA";
}

interface Place {
  /** The gateway's data folder; made with mode 0700 when it is not there. */
  readonly folder: string;
  readonly clock: Clock;
  readonly random: Random;
}

/**
 * Reads the gateway's keys, and makes the first one at the first start. Synchronous: it runs before anything
 * listens. Two processes that start at once end up with the same key.
 * @throws {Error} when the file is there and cannot be read or used: a new key would silently replace a lost one
 */
export function loadAssertionKeys(place: Place): AssertionKeys {
  const path = join(place.folder, FILE);
  mkdirSync(place.folder, { recursive: true, mode: 0o700 });
  try {
    return toKeys(readFileSync(path, "utf8"), path);
  } catch (error) {
    if (!hasCode(error, "ENOENT")) throw error;
  }
  const draft = writeDraft(place, [newEntry(place.clock.wallMs())]);
  try {
    linkSync(draft, path); // fails if another process was faster; then its key counts
  } catch (error) {
    if (!hasCode(error, "EEXIST")) throw error;
  } finally {
    rmSync(draft);
  }
  return toKeys(readFileSync(path, "utf8"), path);
}

/**
 * Adds a key that signs from `publishAheadMs` on, and drops those whose last assertion has long expired. Services
 * reload keys every ten minutes, so less than that would have them meet an unknown key.
 */
export function rotateAssertionKeys({
  publishAheadMs,
  ...place
}: Place & { readonly publishAheadMs: number }): AssertionKeys {
  const path = join(place.folder, FILE);
  const nowMs = place.clock.wallMs();
  const { all } = loadAssertionKeys(place);
  // A key is over when its successor has signed for a day: assertions live for a minute.
  const kept = all.filter((_, index) => {
    const successor = all[index + 1];
    return successor === undefined || nowMs - successor.signsFromMs < 86_400_000;
  });
  const draft = writeDraft(place, [...kept.map(toEntry), newEntry(nowMs + publishAheadMs)]);
  renameSync(draft, path);
  return toKeys(readFileSync(path, "utf8"), path);
}

const FILE = "assertion-keys.json";

/** One key as it lies in the file. */
interface Entry {
  readonly signsFromMs: number;
  readonly privateKey: JsonObject;
}

function newEntry(signsFromMs: number): Entry {
  return toEntry({
    keyId: "",
    signsFromMs,
    privateKey: generateKeyPairSync("ed25519").privateKey,
  });
}

function toEntry({ signsFromMs, privateKey }: AssertionKey): Entry {
  return { signsFromMs, privateKey: { ...privateKey.export({ format: "jwk" }) } };
}

function writeDraft({ folder, random }: Place, entries: readonly Entry[]): string {
  const draft = join(folder, `${FILE}.${random.bytes(8).toString("hex")}`);
  writeFileSync(draft, `${JSON.stringify({ keys: entries }, undefined, 2)}\n`, {
    mode: 0o600,
    flag: "wx",
    flush: true,
  });
  chmodSync(draft, 0o600); // whatever the umask was
  return draft;
}

function toKeys(text: string, path: string): AssertionKeys {
  let all: AssertionKey[];
  try {
    const document: unknown = JSON.parse(text);
    const entries = isJsonObject(document) ? document["keys"] : undefined;
    if (!Array.isArray(entries)) throw new TypeError("no array of keys");
    all = entries.map(toKey).toSorted((a, b) => a.signsFromMs - b.signsFromMs);
  } catch {
    // The parser's own message may quote the file, which holds private keys.
    throw new Error(`Cannot read ${path}: not a key file of this gateway`);
  }
  const first = all[0];
  if (first === undefined) throw new Error(`Cannot read ${path}: no key in it`);
  return {
    all,
    signingKey: (nowMs) => all.findLast((key) => key.signsFromMs <= nowMs) ?? first,
    jwks: { keys: all.map(toPublicJwk) },
  };
}

function toKey(entry: unknown): AssertionKey {
  if (!isJsonObject(entry)) throw new TypeError("not an object");
  const { signsFromMs, privateKey: jwk } = entry;
  if (typeof signsFromMs !== "number" || !isJsonObject(jwk)) throw new TypeError("not a key");
  const privateKey = createPrivateKey({ key: { ...jwk }, format: "jwk" });
  if (privateKey.asymmetricKeyType !== "ed25519") throw new TypeError("not Ed25519");
  return { keyId: toPublicJwk({ privateKey }).kid, privateKey, signsFromMs };
}

function toPublicJwk({ privateKey }: Pick<AssertionKey, "privateKey">): PublicJwk {
  const { x } = createPublicKey(privateKey).export({ format: "jwk" });
  assert(x !== undefined, "an Ed25519 key has x");
  const kid = thumbprintOf({ crv: "Ed25519", kty: "OKP", x });
  return { kty: "OKP", crv: "Ed25519", x, kid, use: "sig", alg: "EdDSA" };
}

const hasCode = (error: unknown, code: string): boolean =>
  error instanceof Error && "code" in error && error.code === code;

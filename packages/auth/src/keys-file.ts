import { hashApiKey } from "./api-key.ts";
import { isJsonObject, type JsonObject } from "./json-object.ts";
import type { Principal } from "./principal.ts";

/**
 * A file of API keys and their hashes:
 * `{ "name": "partners", "keys": { "billing": { "id": "…", "secrets": [{ "hash": "…" }], "scopes": ["tasks:read"] } } }`.
 *
 * It is an issuer of its own, called `urn:tidegate:keys:<name>`; whom a key speaks for is its id, which no other key ever
 * gets. While a key is rotated it has two secrets, the old one with an end.
 */
export interface KeysFile {
  readonly issuer: string;
  /** By id. */
  readonly keys: ReadonlyMap<string, ApiKey>;
}

export interface ApiKey {
  /** What people call it. */
  readonly name: string;
  readonly id: string;
  readonly isDisabled: boolean;
  readonly scopes: readonly string[];
  /** When it ends, wall milliseconds; `Infinity` when it does not. */
  readonly expiresAtMs: number;
  /** Newest first. */
  readonly secrets: readonly ApiKeySecret[];
  /** The entry as it stands in the file; two loads with the same text mean the same key. */
  readonly text: string;
}

export interface ApiKeySecret {
  readonly hash: string;
  readonly expiresAtMs: number;
  /** Whom the gateway sees who shows it. */
  readonly principal: Principal;
}

/**
 * @param source what the file is called in messages
 * @throws {Error} with every problem in one message; no hash is quoted
 */
export function parseKeysFile(text: string, source: string): KeysFile {
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch {
    throw new Error(`Cannot use the keys file ${source}: not JSON`);
  }
  const problems: string[] = [];
  const { name, keys: entries } = isJsonObject(document) ? document : {};
  if (typeof name !== "string" || !NAME.test(name))
    problems.push("name: must be lower-case letters, digits and hyphens, beginning with a letter");
  if (!isJsonObject(entries)) problems.push("keys: must be an object of keys by name");
  const issuer = `urn:tidegate:keys:${String(name)}`;
  const keys = new Map<string, ApiKey>();
  for (const [keyName, entry] of Object.entries(isJsonObject(entries) ? entries : {})) {
    const path = `keys.${JSON.stringify(keyName)}`;
    const key = readKey(keyName, entry, issuer);
    if (Array.isArray(key)) {
      problems.push(...key.map((problem) => `${path}${problem}`));
      continue;
    }
    const other = keys.get(key.id);
    if (other !== undefined) problems.push(`${path}.id: is that of ${JSON.stringify(other.name)}`);
    keys.set(key.id, key);
  }
  if (problems.length > 0)
    throw new Error(`Cannot use the keys file ${source}:\n  ${problems.join("\n  ")}`);
  return { issuer, keys };
}

const NAME = /^[a-z][a-z0-9-]{0,62}$/;
const ID = /^[a-z0-9]{14}$/;
const HASH = /^[A-Za-z0-9_-]{43}$/;
// RFC 6749 §3.3.
const SCOPE = /^[!#-[\]-~]{1,256}$/;
const MEMBERS = new Set(["id", "secrets", "scopes", "expires", "disabled", "created"]);
/** The current one and those that a rotation leaves behind. */
const MAX_SECRETS = 4;

function readKey(name: string, entry: unknown, issuer: string): ApiKey | string[] {
  if (!isJsonObject(entry)) return [": must be an object"];
  const problems: string[] = [];
  const { id, scopes = [], disabled = false, secrets } = entry;
  if (!NAME.test(name)) problems.push(": a name has lower-case letters, digits and hyphens");
  for (const member of Object.keys(entry))
    if (!MEMBERS.has(member)) problems.push(`.${member}: is not known`);
  if (typeof id !== "string" || !ID.test(id))
    problems.push(".id: must be as `tidegate keys add` makes it");
  const known = Array.isArray(scopes) ? scopes.filter(isScope) : [];
  if (!Array.isArray(scopes) || known.length !== scopes.length)
    problems.push(".scopes: must be a list of scope names");
  if (typeof disabled !== "boolean") problems.push(".disabled: must be true or false");
  const expiresAtMs = readEnd(entry);
  if (expiresAtMs === undefined)
    problems.push(".expires: must be a time such as 2027-01-31T12:00:00Z");
  const list = Array.isArray(secrets) ? secrets : [];
  if (list.length === 0 || list.length > MAX_SECRETS)
    problems.push(`.secrets: must be a list of 1 to ${MAX_SECRETS}`);
  const read: ApiKeySecret[] = [];
  for (const [at, secret] of list.entries()) {
    const { hash } = isJsonObject(secret) ? secret : {};
    const ends = isJsonObject(secret) ? readEnd(secret) : undefined;
    if (typeof hash !== "string" || !HASH.test(hash) || ends === undefined) {
      problems.push(`.secrets[${at}]: must have a hash, and may have an end`);
      continue;
    }
    const end = Math.min(ends, expiresAtMs ?? 0);
    const secretId = hashApiKey(`secret ${hash}`);
    const principal = { id: String(id), name, issuer, scopes: known, expiresAtMs: end, secretId };
    read.push({ hash, expiresAtMs: end, principal: principalOf(principal) });
  }
  if (problems.length > 0 || expiresAtMs === undefined) return problems;
  return {
    name,
    id: String(id),
    isDisabled: disabled === true,
    scopes: known,
    expiresAtMs,
    secrets: read,
    text: JSON.stringify(entry),
  };
}

function principalOf({
  id,
  name,
  issuer,
  scopes,
  expiresAtMs,
  secretId,
}: {
  readonly id: string;
  readonly name: string;
  readonly issuer: string;
  readonly scopes: readonly string[];
  readonly expiresAtMs: number;
  readonly secretId: string;
}): Principal {
  return Object.freeze({
    kind: "key",
    issuer,
    subject: id,
    client: name,
    scopes: new Set(scopes),
    // A program shows it: nobody signed in, at no time.
    acr: "",
    authTimeSeconds: 0,
    issuedAtSeconds: 0,
    sessionId: "",
    tokenId: id,
    secretId,
    keyThumbprint: "",
    expiresAtMs,
  });
}

/** @returns when `expires` is, `Infinity` without one; undefined when it is no time */
function readEnd({ expires }: JsonObject): number | undefined {
  if (expires === undefined) return Number.POSITIVE_INFINITY;
  if (typeof expires !== "string" || !/^\d{4}-\d\d-\d\dT[\d:.]+Z$/.test(expires)) return undefined;
  const ms = Date.parse(expires);
  return Number.isNaN(ms) ? undefined : ms;
}

const isScope = (scope: unknown): scope is string => typeof scope === "string" && SCOPE.test(scope);

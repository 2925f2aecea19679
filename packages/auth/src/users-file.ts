import { readFile, rename, writeFile } from "node:fs/promises";
import type { Random } from "@tidegate/clock";
import { MAX_USER_LENGTH } from "./basic-credentials.ts";
import { isJsonObject } from "./json-object.ts";
import { hashPassword, parsePasswordHash, type PasswordHash } from "./password-hash.ts";
import type { Principal } from "./principal.ts";

/**
 * A file of people and hashes of their passwords:
 * `{ "name": "demo", "users": { "ada": { "password": "$scrypt$…", "scopes": ["tasks:read"] } } }`.
 *
 * It is an issuer of its own, called `urn:tidegate:users:<name>`: people of two files, or of a file and an OpenID
 * provider, are different people even if they are called the same.
 */
export interface UsersFile {
  readonly issuer: string;
  readonly users: ReadonlyMap<string, User>;
}

export interface User {
  readonly name: string;
  readonly passwordHash: PasswordHash;
  /** Whom the gateway sees when the password is right. */
  readonly principal: Principal;
  /** The entry as it stands in the file; two loads with the same text mean the same user. */
  readonly text: string;
}

/** How Basic authentication is called where a level is asked for; it satisfies no step-up. */
export const BASIC_ACR = "urn:tidegate:acr:basic";

/**
 * @param source what the file is called in messages
 * @throws {Error} with every problem in one message; no hash is quoted
 */
export function parseUsersFile(text: string, source: string): UsersFile {
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch {
    throw new Error(`Cannot use the users file ${source}: not JSON`);
  }
  const problems: string[] = [];
  const { name, users: entries } = isJsonObject(document) ? document : {};
  if (typeof name !== "string" || !FILE_NAME.test(name)) {
    problems.push("name: must be lower-case letters, digits and hyphens, beginning with a letter");
  }
  const issuer = `urn:tidegate:users:${String(name)}`;
  const users = new Map<string, User>();
  const subjects = new Map<string, string>();
  if (!isJsonObject(entries)) problems.push("users: must be an object of users by name");
  for (const [userName, entry] of Object.entries(isJsonObject(entries) ? entries : {})) {
    const path = `users.${JSON.stringify(userName)}`;
    const user = readUser(userName, entry, issuer);
    if (Array.isArray(user)) {
      problems.push(...user.map((problem) => `${path}${problem}`));
      continue;
    }
    const { subject } = user.principal;
    const other = subjects.get(subject);
    if (other !== undefined) problems.push(`${path}: is the same subject as ${other}`);
    subjects.set(subject, path);
    users.set(userName, user);
  }
  if (problems.length > 0) {
    throw new Error(`Cannot use the users file ${source}:\n  ${problems.join("\n  ")}`);
  }
  return { issuer, users };
}

/**
 * Adds a user, or replaces one, and writes the file as a whole (mode 0600). Makes the file if there is none.
 * Not for two writers at once.
 */
export async function setUser({
  path,
  fileName,
  user,
  password,
  scopes,
  random,
}: {
  readonly path: string;
  /** The file's own name; used only when the file is made. */
  readonly fileName: string;
  readonly user: string;
  readonly password: string;
  readonly scopes: readonly string[];
  readonly random: Random;
}): Promise<void> {
  const before = await readOrUndefined(path);
  const document: unknown =
    before === undefined ? { name: fileName, users: {} } : JSON.parse(before);
  if (!isJsonObject(document) || !isJsonObject(document["users"])) {
    throw new Error(`Cannot add ${user} to ${path}: not a users file`);
  }
  const hash = await hashPassword(password.normalize("NFC"), { random });
  const entry = { password: hash, scopes };
  const users = { ...document["users"], [user.normalize("NFC")]: entry };
  const text = `${JSON.stringify({ ...document, users }, undefined, 2)}\n`;
  parseUsersFile(text, path);
  const draft = `${path}.${random.bytes(8).toString("hex")}`;
  await writeFile(draft, text, { mode: 0o600, flag: "wx", flush: true });
  await rename(draft, path);
}

const FILE_NAME = /^[a-z][a-z0-9-]{0,62}$/;
// RFC 6749 §3.3.
const SCOPE = /^[!#-[\]-~]{1,256}$/;
// eslint-disable-next-line no-control-regex -- control characters are what is looked for
const UNPRINTABLE = /[\u0000-\u001f\u007f-\u009f]/;
const MEMBERS = new Set(["password", "scopes", "subject"]);

function readUser(name: string, entry: unknown, issuer: string): User | string[] {
  if (!isJsonObject(entry)) return [": must be an object"];
  const { password, scopes = [], subject = name } = entry;
  const problems: string[] = [];
  const isName = (value: string) =>
    value !== "" && value.length <= MAX_USER_LENGTH && !UNPRINTABLE.test(value);
  if (!isName(name) || name.includes(":") || name.normalize("NFC") !== name) {
    problems.push(`: a name has 1 to ${MAX_USER_LENGTH} characters, no colon, and is in NFC`);
  }
  for (const member of Object.keys(entry)) {
    if (!MEMBERS.has(member)) problems.push(`.${member}: is not known`);
  }
  const passwordHash = typeof password === "string" ? parsePasswordHash(password) : undefined;
  if (passwordHash === undefined) {
    problems.push(".password: must be an scrypt hash as `tidegate users add` writes it");
  }
  if (typeof subject !== "string" || !isName(subject)) {
    problems.push(`.subject: must be text of 1 to ${MAX_USER_LENGTH} characters`);
  }
  const known = Array.isArray(scopes) ? scopes.filter(isScope) : [];
  if (!Array.isArray(scopes) || known.length !== scopes.length) {
    problems.push(".scopes: must be a list of scope names");
  }
  if (problems.length > 0 || passwordHash === undefined || typeof subject !== "string") {
    return problems;
  }
  return {
    name,
    passwordHash,
    principal: Object.freeze({
      kind: "person",
      issuer,
      subject,
      client: "",
      scopes: new Set(known),
      acr: BASIC_ACR,
      // Nobody knows when the person typed it: programs and browsers send it again and again.
      authTimeSeconds: 0,
      issuedAtSeconds: 0,
      sessionId: "",
      tokenId: "",
      keyThumbprint: "",
      expiresAtMs: Number.POSITIVE_INFINITY,
    }),
    text: JSON.stringify(entry),
  };
}

const isScope = (scope: unknown): scope is string => typeof scope === "string" && SCOPE.test(scope);

async function readOrUndefined(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw error;
  }
}

import { readFile, rename, writeFile } from "node:fs/promises";
import { basename, resolve } from "node:path";
import { parseUsersFile, setUser, type UsersFile } from "@tidegate/auth";
import { systemRandom } from "@tidegate/clock";
import { didYouMean } from "../config/did-you-mean.ts";
import { firstLineOf } from "../config/config-error.ts";
import { EXIT, type ExitCode, type Terminal } from "./terminal.ts";

export interface UsersCall {
  readonly action: string | undefined;
  readonly file: string | undefined;
  readonly name: string | undefined;
  readonly isGenerated: boolean;
  /** Separated by spaces; undefined keeps those of a user who is there. */
  readonly scopes: string | undefined;
  readonly isJson: boolean;
}

/** Adds, removes and lists the people of a users file. */
export async function usersCommand(terminal: Terminal, call: UsersCall): Promise<ExitCode> {
  const { action, name, isJson } = call;
  const wrong = whyWrong(call);
  if (wrong !== undefined) {
    terminal.complain(`tidegate: ${wrong}`);
    return EXIT.usage;
  }
  const path = resolve(terminal.workingFolder, call.file ?? "");
  try {
    switch (action) {
      case "add":
        return await addUser(terminal, path, call);
      case "remove":
        return await removeUser(terminal, { path, name: name ?? "", isJson });
      default:
        return await listUsers(terminal, { path, isJson });
    }
  } catch (error) {
    // What the file or the machine refused comes as a plain error; every other class is a bug.
    if (!(error instanceof Error) || error.name !== "Error") throw error;
    return fail(terminal, error.message, isJson);
  }
}

const ACTIONS = ["add", "remove", "list"];

function whyWrong({ action = "", file, name, isGenerated, scopes }: UsersCall): string | undefined {
  if (!ACTIONS.includes(action)) {
    const meant = didYouMean(action, ACTIONS);
    return `\`users ${action}\` is not known${meant === undefined ? "" : `; did you mean \`${meant}\`?`}`;
  }
  if (file === undefined) return `\`users ${action}\` needs a file`;
  if (action === "list" && name !== undefined) return "`users list` takes no name";
  if (action !== "list" && name === undefined) return `\`users ${action}\` needs a name`;
  if (action !== "add" && isGenerated) return "`--generate` belongs to `users add`";
  if (action !== "add" && scopes !== undefined) return "`--scopes` belongs to `users add`";
  return undefined;
}

async function addUser(
  terminal: Terminal,
  path: string,
  { name = "", isGenerated, scopes, isJson }: UsersCall,
): Promise<ExitCode> {
  const existing = (await readUsers(path))?.users.get(name.normalize("NFC"));
  const password = isGenerated ? generatePassword() : await terminal.readSecret("Password: ");
  const refusal = whyWeak(password);
  if (refusal !== undefined) return fail(terminal, `Cannot add ${name}: ${refusal}`, isJson);
  await setUser({
    path,
    fileName: nameOfFile(path),
    user: name,
    password,
    scopes: scopes?.split(" ").filter((scope) => scope !== "") ?? [
      ...(existing?.principal.scopes ?? []),
    ],
    random: systemRandom,
  });
  if (isJson) {
    const generated = isGenerated ? { password } : {};
    terminal.print(JSON.stringify({ ok: true, file: path, user: name, ...generated }));
  } else if (isGenerated) {
    // The password alone on standard output, so that a script can take it.
    terminal.complain(
      `${existing ? "Changed" : "Added"} ${name}. The password is shown this once:`,
    );
    terminal.print(password);
  } else {
    terminal.complain(`${existing ? "Changed" : "Added"} ${name}.`);
  }
  return EXIT.fine;
}

async function removeUser(
  terminal: Terminal,
  { path, name, isJson }: { path: string; name: string; isJson: boolean },
): Promise<ExitCode> {
  const users = (await readUsers(path))?.users;
  const user = name.normalize("NFC");
  if (users?.has(user) !== true) {
    const meant = didYouMean(user, users?.keys() ?? []);
    const hint = meant === undefined ? "" : `; did you mean ${meant}?`;
    return fail(terminal, `Cannot remove ${name}: nobody is called that in ${path}${hint}`, isJson);
  }
  const text = JSON.stringify(
    without(JSON.parse(await readFile(path, "utf8")), user),
    undefined,
    2,
  );
  // Written beside and renamed: a reader sees the old file or the new one, never half of one.
  const draft = `${path}.${systemRandom.bytes(8).toString("hex")}`;
  await writeFile(draft, `${text}\n`, { mode: 0o600, flag: "wx", flush: true });
  await rename(draft, path);
  if (isJson) terminal.print(JSON.stringify({ ok: true, file: path, user: name }));
  else terminal.complain(`Removed ${name}.`);
  return EXIT.fine;
}

async function listUsers(
  terminal: Terminal,
  { path, isJson }: { path: string; isJson: boolean },
): Promise<ExitCode> {
  const file = await readUsers(path);
  if (file === undefined)
    return fail(terminal, `Cannot list users: ${path} does not exist`, isJson);
  const users = [...file.users.values()].map(({ name, principal }) => ({
    name,
    scopes: [...principal.scopes],
  }));
  if (isJson) {
    terminal.print(JSON.stringify({ ok: true, file: path, issuer: file.issuer, users }));
    return EXIT.fine;
  }
  for (const { name, scopes } of users) {
    terminal.print(scopes.length === 0 ? name : `${name}  ${scopes.join(" ")}`);
  }
  return EXIT.fine;
}

/** @returns undefined when there is no such file */
async function readUsers(path: string): Promise<UsersFile | undefined> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (cause) {
    if (cause instanceof Error && "code" in cause && cause.code === "ENOENT") return undefined;
    throw new Error(`Cannot read ${path}: ${firstLineOf(cause)}`, { cause });
  }
  return parseUsersFile(text, path);
}

/** The document without one user, whatever else is in it. It was found valid before. */
function without(document: unknown, user: string): unknown {
  if (!hasUsers(document)) return document;
  const users = Object.entries(document.users).filter(([name]) => name !== user);
  return { ...document, users: Object.fromEntries(users) };
}

const hasUsers = (document: unknown): document is { readonly users: object } =>
  typeof document === "object" &&
  document !== null &&
  "users" in document &&
  typeof document.users === "object" &&
  document.users !== null;

/** 24 characters of 32: 120 bits, without those that are taken for others. */
function generatePassword(): string {
  const alphabet = "abcdefghijkmnpqrstuvwxyz23456789";
  const characters = [...systemRandom.bytes(24)].map((byte) => alphabet[byte % alphabet.length]);
  return characters.join("").replaceAll(/(.{6})(?=.)/g, "$1-");
}

// NIST SP 800-63B-4 §3.1.1.2: 15 characters for a password that is the only factor.
const SHORTEST_PASSWORD = 15;

function whyWeak(password: string): string | undefined {
  if (password === "") return "no password came on standard input; `--generate` makes one";
  const length = Array.from(password).length;
  if (length < SHORTEST_PASSWORD)
    return `the password has ${length} characters, at least ${SHORTEST_PASSWORD} are needed`;
  if (password.length > 1_024) return "the password is longer than 1024 characters";
  // eslint-disable-next-line no-control-regex -- RFC 7617 §2: they cannot be sent
  return /[\u0000-\u001f\u007f-\u009f]/.test(password)
    ? "the password has control characters"
    : undefined;
}

/** What a new file calls itself: its name as far as a name may go. */
function nameOfFile(path: string): string {
  const name = basename(path)
    .replace(/\.[^.]*$/, "")
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, "-")
    .replaceAll(/^[^a-z]+|-+$/g, "");
  return name === "" ? "users" : name.slice(0, 63);
}

function fail(terminal: Terminal, reason: string, isJson: boolean): ExitCode {
  if (isJson) terminal.print(JSON.stringify({ ok: false, error: reason }));
  else terminal.complain(reason);
  return EXIT.failed;
}

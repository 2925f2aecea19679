import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Random } from "@tidegate/clock";
import { readJsonFile, writePrivateFile } from "./private-file.ts";
import { writeUsersFile } from "./users-file.ts";

/** Passwords by name, in plain text: the demo shows them to the person in front of it. */
export type DemoUsers = Readonly<Record<"ada" | "grace", string>>;

// Without the letters and digits that are mistaken for each other when they are typed from a screen.
const ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789";
const CHARACTERS = 20;

/**
 * The demo's people: made at the first start, the same ever after. `demo-users.json` has the passwords, `users.json` the
 * hashes that the gateway reads; both are 0600.
 * @returns `areNew`: whether these passwords were made just now
 */
export async function provideDemoUsers(
  dataFolder: string,
  options: { readonly random: Random },
): Promise<{ readonly users: DemoUsers; readonly usersFile: string; readonly areNew: boolean }> {
  const passwordsFile = join(dataFolder, "demo-users.json");
  const usersFile = join(dataFolder, "users.json");
  const known = readJsonFile(passwordsFile);
  if (known !== undefined && !isDemoUsers(known)) {
    throw new Error(
      `Cannot use ${passwordsFile}: it must hold the passwords of ada and grace. Remove it to have new ones made`,
    );
  }
  const users = known ?? { ada: makePassword(options.random), grace: makePassword(options.random) };
  if (known === undefined || !existsSync(usersFile)) {
    // The hashes first: a crash in between makes new ones, and never shows a password that does not work.
    await writeUsersFile(usersFile, { users, random: options.random });
    writePrivateFile(passwordsFile, `${JSON.stringify(users, undefined, 2)}\n`);
  }
  return { users, usersFile, areNew: known === undefined };
}

/** 20 characters of 31: 99 bits. */
function makePassword(random: Random): string {
  let password = "";
  while (password.length < CHARACTERS) {
    for (const byte of random.bytes(32)) {
      // Bytes beyond the last whole multiple would make the first letters likelier than the others.
      if (byte >= 256 - (256 % ALPHABET.length)) continue;
      password += ALPHABET[byte % ALPHABET.length];
      if (password.length === CHARACTERS) break;
    }
  }
  return password;
}

function isDemoUsers(value: unknown): value is DemoUsers {
  if (typeof value !== "object" || value === null) return false;
  const { ada, grace } = value as Record<string, unknown>;
  return [ada, grace].every((password) => typeof password === "string" && password.length > 0);
}

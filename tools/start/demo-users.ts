import { join } from "node:path";
import type { Random } from "@tidegate/clock";
import { readJsonFile, writePrivateFile } from "./private-file.ts";

/** Passwords by name, in plain text: the demo shows them to the person in front of it. */
export type DemoUsers = Readonly<Record<"ada" | "grace", string>>;

// Without the letters and digits that are mistaken for each other when they are typed from a screen.
const ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789";
const CHARACTERS = 20;

/**
 * Passwords of the demo's people: made at the first start, the same ever after, in `demo-users.json` (0600). The identity
 * provider has the people.
 * @returns `areNew`: whether these passwords were made just now
 */
export function provideDemoUsers(
  dataFolder: string,
  options: { readonly random: Random },
): { readonly users: DemoUsers; readonly areNew: boolean } {
  const passwordsFile = join(dataFolder, "demo-users.json");
  const known = readJsonFile(passwordsFile);
  if (known !== undefined && !isDemoUsers(known)) {
    throw new Error(
      `Cannot use ${passwordsFile}: it must hold the passwords of ada and grace. Remove it to have new ones made`,
    );
  }
  const users = known ?? { ada: makePassword(options.random), grace: makePassword(options.random) };
  if (known === undefined)
    writePrivateFile(passwordsFile, `${JSON.stringify(users, undefined, 2)}\n`);
  return { users, areNew: known === undefined };
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

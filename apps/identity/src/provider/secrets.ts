import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Random } from "@tidegate/clock";
import { readPrivateJson, writePrivateJson, writePrivateText } from "./private-json.ts";

/** Secrets of one data folder, made at the first start. */
export interface Secrets {
  /** Sign cookies; the first signs, all verify. */
  readonly cookieKeys: readonly string[];
  /** Makes a refresh token's successor follow from it. */
  readonly successorSecret: Buffer;
  /** What administrators present. */
  readonly adminToken: string;
}

export function openSecrets(options: {
  readonly dataFolder: string;
  readonly random: Random;
}): Secrets {
  const { dataFolder, random } = options;
  const file = join(dataFolder, "secrets.json");
  const known = readPrivateJson(file);
  if (known !== undefined && !isSecretsFile(known)) {
    throw new Error(`Cannot read ${file}: it does not hold the provider's secrets`);
  }
  const make = (): string => random.bytes(32).toString("base64url");
  const secrets = known ?? { cookieKeys: [make()], successorSecret: make() };
  if (known === undefined) writePrivateJson(file, secrets);
  return {
    cookieKeys: secrets.cookieKeys,
    successorSecret: Buffer.from(secrets.successorSecret, "base64url"),
    adminToken: openAdminToken(join(dataFolder, "admin-token"), make),
  };
}

/** In a file of its own, as text: the command line and the launcher read it. */
function openAdminToken(file: string, make: () => string): string {
  if (!existsSync(file)) writePrivateText(file, `${make()}\n`);
  const token = readFileSync(file, "utf8").trim();
  // 128 bits: what somebody may have typed instead must not be guessable.
  if (token.length < 22) throw new Error(`Cannot use ${file}: the token is too short`);
  return token;
}

function isSecretsFile(
  value: unknown,
): value is { readonly cookieKeys: string[]; readonly successorSecret: string } {
  if (typeof value !== "object" || value === null) return false;
  const { cookieKeys, successorSecret } = value as Record<string, unknown>;
  return (
    Array.isArray(cookieKeys) &&
    cookieKeys.length > 0 &&
    cookieKeys.every((key) => typeof key === "string" && key.length >= 22) &&
    typeof successorSecret === "string" &&
    successorSecret.length >= 22
  );
}

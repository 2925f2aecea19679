// What tests of Basic share: a users file with ada and grace, and hashes that can be counted and held.

import { hkdfSync } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { manualClock, systemRandom } from "@tidegate/clock";
import { tempFolder } from "@tidegate/testkit";
import { createHashingPool } from "../src/hashing-pool.ts";
import { costOf, hashPassword, type DeriveKey } from "../src/password-hash.ts";
import { createPasswordVerifier } from "../src/password-verifier.ts";
import { openUsersFile } from "../src/users-source.ts";
import type { Verification } from "../src/verification.ts";

export const random = systemRandom;
export const basic = (user: string, password: string): string =>
  Buffer.from(`${user}:${password}`).toString("base64");

/** A cheap stand-in for scrypt with its shape, that a test can count and hold. */
export function countingKey() {
  const calls: { cost: number }[] = [];
  const held: (() => void)[] = [];
  const state = { calls, held, holds: false };
  const deriveKey: DeriveKey = async (password, settings) => {
    calls.push({ cost: costOf(settings) });
    if (state.holds) await new Promise<void>((resolve) => held.push(resolve));
    return Buffer.from(hkdfSync("sha256", password, settings.salt, "", 32));
  };
  return { ...state, state, deriveKey };
}

export async function setUpPasswords() {
  const folder = await tempFolder();
  const clock = manualClock(1_800_000_000_000);
  const counter = countingKey();
  const path = folder.file("users.json");
  const entryFor = async (password: string) => ({
    password: await hashPassword(password, { random, deriveKey: counter.deriveKey }),
    scopes: ["tasks:read"],
  });
  const document = {
    name: "demo",
    users: { ada: await entryFor("secret"), grace: await entryFor("other") },
  };
  await writeFile(path, JSON.stringify(document));
  const reloads: (Error | undefined)[] = [];
  const users = await openUsersFile({ path, clock, onReload: (problem) => reloads.push(problem) });
  const pool = createHashingPool();
  const verifier = createPasswordVerifier({ users, pool, clock, deriveKey: counter.deriveKey });
  counter.calls.length = 0;
  return {
    ...counter,
    clock,
    path,
    document,
    entryFor,
    reloads,
    users,
    pool,
    verifier,
    verify: async (user: string, password: string, network = "192.0.2.1"): Promise<Verification> =>
      verifier.verify({ text: basic(user, password), network }, AbortSignal.timeout(10_000)),
    async [Symbol.asyncDispose]() {
      users[Symbol.dispose]();
      await folder[Symbol.asyncDispose]();
    },
  };
}

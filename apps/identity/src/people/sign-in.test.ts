import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { describe, test } from "node:test";
import { createHashingPool, type DeriveKey } from "@tidegate/auth";
import { manualClock, systemRandom } from "@tidegate/clock";
import { Database } from "@tidegate/service-kit";
import { MIGRATIONS, type IdentityTables } from "../schema.ts";
import { Devices } from "./devices.ts";
import { createPasswords } from "./passwords.ts";
import { PeopleStore } from "./people-store.ts";
import { SignInBackOff } from "./sign-in-back-off.ts";
import { createSignIn } from "./sign-in.ts";

const PASSWORD = "lantern orbit maple";

describe("createSignIn()", () => {
  test("unknown, disabled, wrong, too long and unverified cost one hash each and are told the same", async () => {
    await using sign = await open();
    await sign.add("ada", { email: "ada@example.org" });
    const eve = await sign.add("eve");
    await sign.store.setDisabled(eve.id, true);
    const tries = [
      { login: "nobody", password: PASSWORD },
      { login: "ada", password: "wrong wrong wrong" },
      { login: "ada", password: "" },
      { login: "ada", password: "x".repeat(1_500) },
      { login: "eve", password: PASSWORD },
      { login: "ada@example.org", password: PASSWORD },
    ];
    for (const [index, attempt] of tries.entries()) {
      const before = sign.hashes();
      const outcome = await sign.attempt({ ...attempt, network: `192.0.2.${index}` });
      assert.deepEqual(outcome, { outcome: "refused" }, JSON.stringify(attempt).slice(0, 60));
      assert.equal(sign.hashes() - before, 1);
    }
  });

  test("a waiting pair costs no hash", async () => {
    await using sign = await open();
    await sign.add("ada");
    for (let guess = 0; guess < 3; guess++)
      await sign.attempt({ login: "ada", password: `guess ${guess}` });
    const before = sign.hashes();
    const outcome = await sign.attempt({ login: "ada", password: PASSWORD });
    assert.deepEqual(outcome, { outcome: "wait", retryAfterMs: 1_000 });
    assert.equal(sign.hashes(), before);
  });

  test("a person's login name and address share one count", async () => {
    await using sign = await open();
    await sign.add("ada", { email: "ada@example.org", isEmailVerified: true });
    for (const login of ["ada", " ADA ", "Ada@Example.org"]) {
      assert.equal((await sign.attempt({ login, password: "wrong wrong" })).outcome, "refused");
    }
    assert.equal(
      (await sign.attempt({ login: "ada@example.org", password: PASSWORD })).outcome,
      "wait",
    );
  });

  test("accepts name or verified address, and a password typed in another Unicode form", async () => {
    await using sign = await open();
    await sign.add("ada", {
      email: "ada@example.org",
      isEmailVerified: true,
      password: "café ﬁnish ①",
    });
    for (const login of ["ada", "ADA@example.org"]) {
      const outcome = await sign.attempt({ login, password: "cafe\u0301 finish 1" });
      assert.equal(outcome.outcome, "accepted");
    }
  });

  test("is busy when the pool is full, and counts nothing for it", async () => {
    await using sign = await open({ maxInFlight: 1, maxQueued: 0 });
    await sign.add("ada");
    const release = sign.holdHashes();
    const first = sign.attempt({ login: "ada", password: PASSWORD, network: "192.0.2.1" });
    await sign.isHashing();
    for (let number = 0; number < 10; number++) {
      const outcome = await sign.attempt({
        login: "ada",
        password: PASSWORD,
        network: "192.0.2.2",
      });
      assert.equal(outcome.outcome, "busy");
    }
    release();
    assert.equal((await first).outcome, "accepted");
    const after = await sign.attempt({ login: "ada", password: PASSWORD, network: "192.0.2.2" });
    assert.equal(after.outcome, "accepted");
  });

  test("who is disabled, deleted or given another password while the hash is made does not get in", async () => {
    for (const change of ["disable", "delete", "password"] as const) {
      await using sign = await open();
      const ada = await sign.add("ada");
      const release = sign.holdHashes();
      const attempt = sign.attempt({ login: "ada", password: PASSWORD });
      await sign.isHashing();
      if (change === "disable") await sign.store.setDisabled(ada.id, true);
      if (change === "delete") await sign.store.delete(ada.id);
      if (change === "password") await sign.store.setPasswordHash(ada.id, "another");
      release();
      assert.deepEqual(await attempt, { outcome: "refused" }, change);
    }
  });

  test("a neighbour who keeps the network waiting cannot keep out a browser that was here before", async () => {
    await using sign = await open();
    const ada = await sign.add("ada");
    const { token } = await sign.devices.greet({ personId: ada.id, tokens: [], userAgent: "x" });
    for (let guess = 0; guess < 40; guess++)
      await sign.attempt({ login: `p${guess}`, password: "x" });
    const strange = await sign.attempt({ login: "ada", password: PASSWORD });
    assert.equal(strange.outcome, "wait");
    const known = await sign.attempt({ login: "ada", password: PASSWORD, deviceTokens: [token] });
    assert.equal(known.outcome, "accepted");
    // Of use for this person alone.
    const other = await sign.attempt({ login: "bob", password: PASSWORD, deviceTokens: [token] });
    assert.equal(other.outcome, "wait");
  });
});

/** A sign-in over a real store, with a key derivation that is quick, counted, and can be held. */
async function open(
  poolOptions: { readonly maxInFlight?: number; readonly maxQueued?: number } = {},
) {
  const clock = manualClock(Date.UTC(2026, 10, 23));
  const database = Database.open<IdentityTables>({ file: ":memory:", migrations: MIGRATIONS });
  let hashes = 0;
  let held: Promise<void> | undefined;
  let begun = Promise.withResolvers<void>();
  const deriveKey: DeriveKey = async (password, { salt }) => {
    hashes++;
    begun.resolve();
    await held;
    return createHash("sha256").update(salt).update(password).digest();
  };
  const passwords = createPasswords({
    pool: createHashingPool(poolOptions),
    random: systemRandom,
    deriveKey,
  });
  const store = new PeopleStore({ database, clock, random: systemRandom });
  const devices = new Devices({ database, clock, random: systemRandom });
  const backOff = new SignInBackOff({ database, clock });
  const signIn = createSignIn({ store, passwords, devices, backOff });
  return {
    store,
    devices,
    hashes: () => hashes,
    holdHashes() {
      const hold = Promise.withResolvers<void>();
      held = hold.promise;
      begun = Promise.withResolvers<void>();
      return () => {
        held = undefined;
        hold.resolve();
      };
    },
    isHashing: () => begun.promise,
    attempt: (attempt: {
      login: string;
      password: string;
      network?: string;
      deviceTokens?: readonly string[];
    }) => signIn.attempt({ network: "192.0.2.1", deviceTokens: [], ...attempt }),
    async add(
      loginName: string,
      more: { email?: string; isEmailVerified?: boolean; password?: string } = {},
    ) {
      const { email, isEmailVerified = false, password = PASSWORD } = more;
      const passwordHash = (await passwords.hash(password))!;
      return (await store.create({ loginName, email, isEmailVerified, passwordHash }))!;
    },
    [Symbol.asyncDispose]: () => database[Symbol.asyncDispose](),
  };
}

import assert from "node:assert/strict";
import { hash, hkdfSync } from "node:crypto";
import { readFile, rm, stat, writeFile } from "node:fs/promises";
import { describe, test } from "node:test";
import { manualClock, systemRandom } from "@tidegate/clock";
import { tempFolder, waitFor } from "@tidegate/testkit";
import * as fc from "fast-check";
import { createAttemptBackOff } from "./attempt-back-off.ts";
import { parseBasicCredentials } from "./basic-credentials.ts";
import { createHashingPool } from "./hashing-pool.ts";
import {
  costOf,
  hashPassword,
  parsePasswordHash,
  verifyPassword,
  type DeriveKey,
} from "./password-hash.ts";
import { createPasswordVerifier } from "./password-verifier.ts";
import { parseUsersFile, setUser } from "./users-file.ts";
import { openUsersFile } from "./users-source.ts";
import type { Verification } from "./verification.ts";

const random = systemRandom;
const basic = (user: string, password: string): string =>
  Buffer.from(`${user}:${password}`).toString("base64");

/** A cheap stand-in for scrypt with its shape, that a test can count and hold. */
function countingKey() {
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

async function setUp() {
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

describe("parseBasicCredentials()", () => {
  test("refuses every text but the one canonical spelling of user, colon and password", () => {
    const hostile: Record<string, string> = {
      empty: "",
      "no padding": basic("ada", "secret").replace(/=+$/, ""),
      "white space": ` ${basic("ada", "secret")}`,
      "white space inside": "YWRh OnNlY3JldA==",
      base64url: basic("ada", "???>>>").replaceAll("/", "_").replaceAll("+", "-"),
      "unused bits": basic("ada", "secret").replace("A==", "B=="),
      "two credentials": `${basic("ada", "secret")}, Bearer x`,
      "no colon": Buffer.from("ada").toString("base64"),
      "no user": basic("", "secret"),
      "no password": basic("ada", ""),
      "NUL in the user": basic("ada\0admin", "secret"),
      "line break in the password": basic("ada", "secret\n"),
      "C1 control": basic("ada", "secret\u0085"),
      "not UTF-8": Buffer.from([0x61, 0x3a, 0xff, 0xfe]).toString("base64"),
      "overlong UTF-8": Buffer.from([0x61, 0xc0, 0xba, 0x62]).toString("base64"),
      "endless user": basic("a".repeat(129), "secret"),
      "endless password": basic("ada", "s".repeat(2_048)),
    };
    for (const [what, text] of Object.entries(hostile)) {
      assert.equal(parseBasicCredentials(text), undefined, what);
    }
  });

  test("reads UTF-8, keeps colons in the password, and joins what keyboards write apart", () => {
    assert.deepEqual(parseBasicCredentials(basic("ada", "a:b:c")), {
      user: "ada",
      password: "a:b:c",
    });
    assert.deepEqual(parseBasicCredentials(basic("Andre\u0301", "pa\u0308ss")), {
      user: "André",
      password: "päss",
    });
  });

  test("reads back what was written, and never throws", () => {
    const text = fc.string({ unit: "grapheme", minLength: 1, maxLength: 40 });
    fc.assert(
      fc.property(text, text, (user, password) => {
        fc.pre(!user.includes(":") && user.normalize("NFC") === user);
        fc.pre(password.normalize("NFC") === password && user.length <= 128);
        fc.pre(!/[\p{Cc}]/u.test(user + password));
        assert.deepEqual(parseBasicCredentials(basic(user, password)), { user, password });
      }),
    );
    fc.assert(fc.property(fc.string(), (any) => void parseBasicCredentials(any)));
  });
});

describe("password hash", () => {
  test("parsePasswordHash() refuses other algorithms, weak and ruinous costs, and damaged hashes", async () => {
    const good = await hashPassword("secret", { random, deriveKey: countingKey().deriveKey });
    assert.ok(parsePasswordHash(good));
    const hostile = [
      "",
      "secret",
      good.replace("$scrypt", "$argon2id"),
      good.replace("ln=15", "ln=10"),
      good.replace("ln=15", "ln=20"),
      good.replace("ln=15", "ln=015"),
      good.replace("p=3", "p=0"),
      good.replace("p=3", "p=99"),
      good.replace("r=8", "r=0"),
      good.slice(0, -1),
      `${good}=`,
      `${good}\n`,
      good.replace(/\$[^$]+$/, ""),
      good.replace(/\$[^$]+\$([^$]+)$/, "$$AAAA$$$1"),
    ];
    for (const text of hostile) assert.equal(parsePasswordHash(text), undefined, text);
  });

  test("hashPassword() makes a hash that verifyPassword() fits to that password alone, by scrypt itself", async () => {
    const text = await hashPassword("correct horse", { random });
    assert.match(text, /^\$scrypt\$ln=15,r=8,p=3\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$/);
    const parsed = parsePasswordHash(text);
    assert.ok(parsed);
    assert.equal(await verifyPassword("correct horse", parsed), true);
    assert.equal(await verifyPassword("correct horse ", parsed), false);
    // A second hash of the same password has its own salt.
    const other = { random, deriveKey: countingKey().deriveKey };
    assert.notEqual(await hashPassword("a", other), await hashPassword("a", other));
  });

  test("verifyPassword() agrees with RFC 7914 §12", async () => {
    // N = 16384, r = 8, p = 1 of the RFC is below our minimum cost, so the vector is checked through the derivation.
    const { scryptSync } = await import("node:crypto");
    const key = scryptSync("pleaseletmein", "SodiumChloride", 64, { N: 16_384, r: 8, p: 1 });
    const settings = {
      logN: 14,
      blockSize: 8,
      parallelism: 1,
      salt: Buffer.from("SodiumChloride"),
    };
    assert.equal(key.toString("hex").slice(0, 16), "7023bdcb3afd7348");
    assert.equal(
      await verifyPassword("pleaseletmein", { ...settings, key: key.subarray(0, 32) }),
      true,
    );
  });
});

describe("hashing pool", () => {
  test("run() starts two, queues thirty-two, and refuses the next without starting it", async () => {
    const pool = createHashingPool();
    const ends: (() => void)[] = [];
    let started = 0;
    const task = async () => {
      started++;
      await new Promise<void>((resolve) => ends.push(resolve));
    };
    const runs = Array.from({ length: 34 }, () => pool.run(task));
    assert.ok(runs.every((run) => run !== undefined));
    assert.equal(pool.run(task), undefined);
    assert.equal(started, 2);
    assert.deepEqual([pool.inFlight, pool.queued], [2, 32]);

    // Never more than two at once, and all of them in the end.
    for (let ended = 0; ended < 34; ended++) {
      await waitFor(() => ends.length > 0, { what: "a task to begin" });
      assert.ok(pool.inFlight <= 2);
      ends.shift()?.();
    }
    await Promise.all(runs);
    assert.equal(started, 34);
    assert.deepEqual([pool.inFlight, pool.queued], [0, 0]);
  });

  test("run() never has three at once, even when one comes just as another ends", async () => {
    const pool = createHashingPool();
    let running = 0;
    let most = 0;
    const task = async () => {
      most = Math.max(most, ++running);
      await Promise.resolve();
      running--;
    };
    const latecomers: (Promise<void> | undefined)[] = [];
    const first = Array.from({ length: 10 }, () =>
      pool.run(task)?.finally(() => latecomers.push(pool.run(task))),
    );
    await Promise.all(first.map((run) => run ?? assert.fail("refused")));
    await Promise.all(latecomers.filter((run) => run !== undefined));
    assert.equal(most, 2);
  });

  test("run() goes on after a task that failed", async () => {
    const pool = createHashingPool({ maxInFlight: 1, maxQueued: 1 });
    const failing = pool.run(() => Promise.reject(new Error("no memory")));
    const next = pool.run(() => Promise.resolve("done"));
    await assert.rejects(failing ?? Promise.resolve(), /no memory/);
    assert.equal(await next, "done");
  });
});

describe("attempt back-off", () => {
  test("charge() lets three attempts pass, then makes the pair wait twice as long each time, five minutes at most", () => {
    const clock = manualClock(0);
    const backOff = createAttemptBackOff(clock);
    const waits = Array.from({ length: 14 }, () => {
      backOff.charge("a");
      const waitMs = backOff.waitMs("a");
      clock.advance(waitMs);
      assert.equal(backOff.waitMs("a"), 0);
      return waitMs / 1_000;
    });
    assert.deepEqual(waits, [0, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]);
  });

  test("charge() forgives one failure in ten minutes", () => {
    const clock = manualClock(0);
    const backOff = createAttemptBackOff(clock);
    for (let i = 0; i < 4; i++) backOff.charge("a");
    clock.advance(2 * 600_000);
    backOff.charge("a");
    assert.equal(backOff.waitMs("a"), 1_000); // the third again
    clock.advance(10 * 600_000);
    backOff.charge("a");
    assert.equal(backOff.waitMs("a"), 0);
  });

  test("charge() keeps the table bounded", () => {
    const backOff = createAttemptBackOff(manualClock(0));
    for (let i = 0; i < 10_500; i++) backOff.charge(`pair ${i}`);
    assert.equal(backOff.size, 10_000);
  });
});

describe("password verifier", () => {
  test("verify() hashes for unknown users as for known ones: once, at the same cost", async () => {
    await using t = await setUp();
    assert.equal((await t.verify("ada", "wrong")).outcome, "invalid");
    assert.equal((await t.verify("nobody", "wrong")).outcome, "invalid");
    assert.equal((await t.verify("__proto__", "wrong")).outcome, "invalid");
    assert.equal(t.calls.length, 3);
    assert.equal(new Set(t.calls.map(({ cost }) => cost)).size, 1);
    // And their answers are the same.
    assert.deepEqual(await t.verify("ada", "wrong2"), await t.verify("nobody", "wrong2"));
  });

  test("verify() makes an unknown user cost what the costliest user of the file costs", async () => {
    await using t = await setUp();
    const dear = await hashPassword("dear", {
      random,
      cost: { logN: 16, blockSize: 8, parallelism: 3 },
      deriveKey: t.deriveKey,
    });
    const cheap = t.document.users.ada;
    const users = { first: cheap, margaret: { password: dear }, last: cheap };
    const entries = Object.entries(users).map(([name, entry]) => [
      name,
      { ...entry, subject: name },
    ]);
    await writeFile(t.path, JSON.stringify({ name: "demo", users: Object.fromEntries(entries) }));
    t.clock.advance(2_000);
    await waitFor(() => t.reloads.length === 1, { what: "the reload" });
    t.calls.length = 0;
    await t.verify("nobody", "wrong");
    await t.verify("margaret", "wrong");
    assert.deepEqual(t.calls[0], t.calls[1]);
  });

  test("verify() does not accept a password that was changed while it was being checked", async () => {
    await using t = await setUp();
    t.state.holds = true;
    const waiting = t.verify("ada", "secret");
    await waitFor(() => t.held.length === 1, { what: "the hash" });
    t.state.holds = false;
    const users = { ada: await t.entryFor("changed") };
    await writeFile(t.path, JSON.stringify({ ...t.document, users }));
    t.clock.advance(2_000);
    await waitFor(() => t.reloads.length === 1, { what: "the reload" });
    t.held[0]?.();
    assert.equal((await waiting).outcome, "invalid");
  });

  test("verify() refuses a flood beyond two hashes and a queue of thirty-two as busy", async () => {
    await using t = await setUp();
    t.state.holds = true;
    const flood = Array.from({ length: 40 }, (_, i) => t.verify(`user${i}`, "guess"));
    await waitFor(() => t.held.length === 2, { what: "two hashes" });
    assert.deepEqual([t.pool.inFlight, t.pool.queued], [2, 32]);
    t.state.holds = false;
    for (const release of t.held) release();
    const outcomes = (await Promise.all(flood)).map(({ outcome }) => outcome);
    assert.equal(outcomes.filter((outcome) => outcome === "busy").length, 6);
    assert.equal(outcomes.filter((outcome) => outcome === "invalid").length, 34);
    // Those refused as busy were not charged: nobody of them waits now.
    const later = await t.verify("user39", "guess");
    assert.equal(later.outcome, "invalid");
  });

  test("verify() backs off a guesser before hashing, also one that guesses all at once", async () => {
    await using t = await setUp();
    const outcomes = await Promise.all(
      Array.from({ length: 20 }, (_, i) => t.verify("ada", `guess${i}`)),
    );
    assert.equal(t.calls.length, 3);
    assert.equal(outcomes.filter(({ outcome }) => outcome === "backed-off").length, 17);
    const refused = await t.verify("ada", "secret");
    assert.deepEqual(refused, { outcome: "backed-off", retryAfterMs: 1_000 });
    assert.equal(t.calls.length, 3);
  });

  test("verify() does not let anybody lock out a user from another address, nor another user at this one", async () => {
    await using t = await setUp();
    for (let i = 0; i < 3; i++) await t.verify("ada", `guess${i}`);
    assert.equal((await t.verify("ada", "secret")).outcome, "backed-off");
    assert.equal((await t.verify("ada", "secret", "192.0.2.2")).outcome, "accepted");
    assert.equal((await t.verify("grace", "other")).outcome, "accepted");
    // Who is remembered as good is not held up by guesses from the same address.
    assert.equal((await t.verify("ada", "secret")).outcome, "accepted");
  });

  test("verify() clears the back-off after a success", async () => {
    await using t = await setUp();
    await t.verify("ada", "guess1");
    await t.verify("ada", "guess2");
    await t.verify("ada", "secret");
    for (const guess of ["guess3", "guess4", "guess5"]) {
      assert.equal((await t.verify("ada", guess)).outcome, "invalid", guess);
    }
    assert.equal((await t.verify("ada", "guess6")).outcome, "backed-off");
  });

  test("verify() remembers a good pair for a minute, hashes once for callers at the same time, never a bad one", async () => {
    await using t = await setUp();
    const results = await Promise.all(Array.from({ length: 30 }, () => t.verify("ada", "secret")));
    assert.ok(results.every(({ outcome }) => outcome === "accepted"));
    assert.equal(t.calls.length, 1);

    const signal = AbortSignal.timeout(10_000);
    const request = { text: basic("ada", "secret"), network: "192.0.2.1" };
    t.clock.advance(59_999);
    assert.ok(!(t.verifier.verify(request, signal) instanceof Promise));
    t.clock.advance(1);
    assert.ok((await t.verifier.verify(request, signal)).outcome === "accepted");
    assert.equal(t.calls.length, 2);

    await t.verify("grace", "wrong");
    await t.verify("grace", "wrong");
    assert.equal(t.calls.length, 4);
  });

  test("verify() vouches for a person of the file, without freshness, by a fingerprint that hides the password", async () => {
    await using t = await setUp();
    const result = await t.verify("ada", "secret");
    assert.ok(result.outcome === "accepted");
    assert.deepEqual(result.principal, {
      kind: "person",
      issuer: "urn:tidegate:users:demo",
      subject: "ada",
      client: "",
      scopes: new Set(["tasks:read"]),
      acr: "urn:tidegate:acr:basic",
      authTimeSeconds: 0,
      sessionId: "",
      tokenId: "",
      expiresAtMs: Number.POSITIVE_INFINITY,
    });
    assert.match(result.fingerprint, /^[\w-]{43}$/);
    // An unkeyed digest would let whoever sees it try passwords.
    assert.notEqual(result.fingerprint, hash("sha256", basic("ada", "secret"), "base64url"));
  });

  test("verify() forgets the old password as soon as the file has a new one, and a removed user at once", async () => {
    await using t = await setUp();
    await t.verify("ada", "secret");
    await t.verify("grace", "other");
    const users = { ada: await t.entryFor("changed") };
    await writeFile(t.path, JSON.stringify({ ...t.document, users }));
    t.clock.advance(2_000);
    await waitFor(() => t.reloads.length === 1, { what: "the reload" });
    assert.deepEqual(t.reloads, [undefined]);
    assert.equal((await t.verify("ada", "secret")).outcome, "invalid");
    assert.equal((await t.verify("grace", "other")).outcome, "invalid");
    assert.equal((await t.verify("ada", "changed")).outcome, "accepted");
  });

  test("verify() rejects with the signal's reason when the caller leaves", async () => {
    await using t = await setUp();
    t.state.holds = true;
    const caller = new AbortController();
    const waiting = t.verifier.verify({ text: basic("ada", "secret"), network: "" }, caller.signal);
    caller.abort(new Error("client left"));
    await assert.rejects(Promise.resolve(waiting), /client left/);
    for (const release of t.held) release();
  });
});

describe("users file", () => {
  test("parseUsersFile() names every problem in one message and quotes no hash", async () => {
    const good = await hashPassword("secret", { random, deriveKey: countingKey().deriveKey });
    const text = JSON.stringify({
      name: "Demo",
      users: {
        ada: { password: "secret-in-clear" },
        "gr:ace": { password: good },
        "": { password: good },
        linus: { password: good, scopes: ["a b"] },
        margaret: { password: good, scope: "a", subject: 1 },
        alan: "nobody",
        one: { password: good, subject: "same" },
        two: { password: good, subject: "same" },
      },
    });
    assert.throws(
      () => parseUsersFile(text, "users.json"),
      ({ message }: Error) => {
        for (const part of [
          "users.json",
          "name:",
          'users."ada".password',
          'users."gr:ace"',
          'users."":',
          'users."linus".scopes',
          'users."margaret".scope:',
          'users."margaret".subject',
          'users."alan"',
          'users."two": is the same subject as users."one"',
        ]) {
          assert.ok(message.includes(part), `${part} in ${message}`);
        }
        assert.ok(!message.includes(good) && !message.includes("secret-in-clear"));
        return true;
      },
    );
    assert.throws(() => parseUsersFile("{", "users.json"), /users\.json: not JSON/);
    assert.throws(() => parseUsersFile("[]", "users.json"), /users: must be an object/);
  });

  test("openUsersFile() keeps the users of before when a change cannot be used, and says so", async () => {
    await using t = await setUp();
    await writeFile(t.path, "{");
    t.clock.advance(2_000);
    await waitFor(() => t.reloads.length === 1, { what: "the report" });
    assert.match(String(t.reloads[0]), /not JSON/);
    assert.equal((await t.verify("ada", "secret")).outcome, "accepted");

    await rm(t.path);
    t.clock.advance(2_000);
    await waitFor(() => t.reloads.length === 2, { what: "the report" });
    assert.match(String(t.reloads[1]), /ENOENT/);
    assert.equal((await t.verify("grace", "other")).outcome, "accepted");
  });

  test("openUsersFile() refuses a missing file with its path", async () => {
    await assert.rejects(
      openUsersFile({ path: "/nowhere/users.json", clock: manualClock(0) }),
      /Cannot read the users file \/nowhere\/users\.json: ENOENT/,
    );
  });

  test("setUser() makes the file for its owner's eyes, adds and replaces, and refuses what would spoil it", async () => {
    await using folder = await tempFolder();
    const path = folder.file("users.json");
    const add = (user: string, password: string) =>
      setUser({ path, fileName: "demo", user, password, scopes: ["tasks:read"], random });
    await add("ada", "first");
    await add("grace", "second");
    await add("ada", "third");
    assert.equal((await stat(path)).mode & 0o777, 0o600);
    const text = await readFile(path, "utf8");
    const { issuer, users } = parseUsersFile(text, path);
    assert.equal(issuer, "urn:tidegate:users:demo");
    assert.deepEqual([...users.keys()].sort(), ["ada", "grace"]);
    const ada = users.get("ada");
    assert.ok(ada && (await verifyPassword("third", ada.passwordHash)));

    await assert.rejects(add("a:b", "x"), /no colon/);
    assert.equal(await readFile(path, "utf8"), text);
  });
});

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { manualClock, type Clock } from "@tidegate/clock";
import { Database } from "@tidegate/service-kit";
import { tempFolder } from "@tidegate/testkit";
import fc from "fast-check";
import { MIGRATIONS, type IdentityTables } from "../schema.ts";
import { SignInBackOff, type Attempt } from "./sign-in-back-off.ts";

const START_MS = Date.UTC(2026, 10, 23);
const at = (network: string, account = "ada", knownDevice?: string): Attempt => ({
  network,
  account,
  knownDevice,
});

function open(clock: Clock, options: { readonly file?: string; readonly maxRows?: number } = {}) {
  const database = Database.open<IdentityTables>({
    file: options.file ?? ":memory:",
    migrations: MIGRATIONS,
  });
  const backOff = new SignInBackOff({ database, clock, ...options });
  return { backOff, database, [Symbol.asyncDispose]: () => database[Symbol.asyncDispose]() };
}

describe("SignInBackOff", () => {
  test("whatever others do from their networks, ada's own attempts elsewhere and from her browser are admitted", async () => {
    const guess = fc.record({
      network: fc.constantFrom("198.51.100.1", "198.51.100.2", "2001:db8:0:1/64"),
      account: fc.constantFrom("ada", "eve", "Ada", ""),
      waitMs: fc.constantFrom(0, 0, 500, 2_000, 400_000),
      outcome: fc.constantFrom("wrong", "wrong", "right", "untried"),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(guess, { maxLength: 60 }), async (guesses) => {
        const clock = manualClock(START_MS);
        await using opened = open(clock);
        const { backOff } = opened;
        for (const { network, account, waitMs, outcome } of guesses) {
          clock.advance(waitMs);
          const admission = await backOff.admit(at(network, account));
          if (!admission.isAdmitted) continue;
          if (outcome === "right" && account === "eve") await admission.succeeded();
          if (outcome === "untried") await admission.takeBack();
        }
        assert.equal((await backOff.admit(at("192.0.2.7"))).isAdmitted, true, "from her network");
        const hers = at("198.51.100.1", "ada", "a-known-device");
        assert.equal(
          (await backOff.admit(hers)).isAdmitted,
          true,
          "from her browser, next to them",
        );
      }),
      { numRuns: 40 },
    );
  });

  test("of a hundred guesses at once only the free ones are tried", async () => {
    await using opened = open(manualClock(START_MS));
    const all = await Promise.all(
      Array.from({ length: 100 }, () => opened.backOff.admit(at("192.0.2.1"))),
    );
    assert.equal(all.filter(({ isAdmitted }) => isAdmitted).length, 3);
  });

  test("waits double to five minutes, and are as long as they say", async () => {
    const clock = manualClock(START_MS);
    await using opened = open(clock);
    const waits: number[] = [];
    for (let tried = 0; tried < 14;) {
      const admission = await opened.backOff.admit(at("192.0.2.1"));
      if (admission.isAdmitted) {
        tried++;
        continue;
      }
      waits.push(admission.retryAfterMs);
      clock.advance(admission.retryAfterMs - 1);
      assert.equal((await opened.backOff.admit(at("192.0.2.1"))).isAdmitted, false);
      clock.advance(1);
    }
    assert.deepEqual(
      waits.slice(0, 9),
      [1, 2, 4, 8, 16, 32, 64, 128, 256].map((s) => s * 1_000),
    );
    assert.equal(Math.max(...waits), 300_000);
  });

  test("a network that guesses at many accounts is slowed, and its own success does not pay for that", async () => {
    const clock = manualClock(START_MS);
    await using opened = open(clock);
    for (let guess = 0; guess < 20; guess++) {
      const admission = await opened.backOff.admit(at("192.0.2.1", `person${guess}`));
      assert.equal(admission.isAdmitted, true, `guess ${guess}`);
    }
    assert.equal((await opened.backOff.admit(at("192.0.2.1", "person20"))).isAdmitted, false);
    clock.advance(1_000);
    const own = await opened.backOff.admit(at("192.0.2.1", "mallory"));
    assert.ok(own.isAdmitted);
    await own.succeeded();
    // One attempt came back, twenty failures stay.
    clock.advance(1_000);
    assert.equal((await opened.backOff.admit(at("192.0.2.1", "person21"))).isAdmitted, true);
    assert.equal((await opened.backOff.admit(at("192.0.2.1", "person22"))).isAdmitted, false);
  });

  test("success forgives the pair, time forgives one by one", async () => {
    const clock = manualClock(START_MS);
    await using opened = open(clock);
    for (let guess = 0; guess < 3; guess++) await opened.backOff.admit(at("192.0.2.1"));
    clock.advance(1_000);
    const right = await opened.backOff.admit(at("192.0.2.1"));
    assert.ok(right.isAdmitted);
    await right.succeeded();
    for (let guess = 0; guess < 3; guess++) {
      assert.equal((await opened.backOff.admit(at("192.0.2.1"))).isAdmitted, true);
    }
    assert.equal((await opened.backOff.admit(at("192.0.2.1"))).isAdmitted, false);
    clock.advance(600_000);
    assert.equal((await opened.backOff.admit(at("192.0.2.1"))).isAdmitted, true);
    assert.equal((await opened.backOff.admit(at("192.0.2.1"))).isAdmitted, false);
  });

  test("a stolen device token is worth five guesses, then it waits too", async () => {
    await using opened = open(manualClock(START_MS));
    const admissions = await Promise.all(
      Array.from({ length: 20 }, (_, index) =>
        opened.backOff.admit(at(`192.0.2.${index}`, "ada", "token")),
      ),
    );
    assert.equal(admissions.filter(({ isAdmitted }) => isAdmitted).length, 5);
  });

  test("survives a restart, and a clock that is set back keeps nobody out for longer than the longest wait", async () => {
    await using folder = await tempFolder();
    const file = folder.file("identity.sqlite");
    const clock = manualClock(START_MS);
    {
      await using opened = open(clock, { file });
      for (let guess = 0; guess < 3; guess++) await opened.backOff.admit(at("192.0.2.1"));
    }
    await using opened = open(clock, { file });
    assert.equal((await opened.backOff.admit(at("192.0.2.1"))).isAdmitted, false);
    clock.stepWall(-30 * 86_400_000);
    const admission = await opened.backOff.admit(at("192.0.2.1"));
    assert.ok(!admission.isAdmitted);
    assert.ok(admission.retryAfterMs <= 1_000);
  });

  test("keeps a bounded table and forgets the oldest first", async () => {
    const clock = manualClock(START_MS);
    await using opened = open(clock, { maxRows: 50 });
    for (let number = 0; number < 200; number++) {
      await opened.backOff.admit(at(`192.0.2.${number}`));
      clock.advance(1);
    }
    const rows = await opened.database.query.selectFrom("attempts").selectAll().execute();
    assert.ok(rows.length <= 50, String(rows.length));
    for (let guess = 0; guess < 2; guess++) await opened.backOff.admit(at("192.0.2.199"));
    assert.equal(
      (await opened.backOff.admit(at("192.0.2.199"))).isAdmitted,
      false,
      "the newest is known",
    );
  });

  test("writes down neither names nor addresses", async () => {
    await using opened = open(manualClock(START_MS));
    await opened.backOff.admit(at("192.0.2.1", "hunter2-typed-into-the-name-field"));
    const rows = await opened.database.query.selectFrom("attempts").selectAll().execute();
    assert.equal(rows.length, 2);
    for (const { key } of rows) assert.equal(key.length, 32);
  });
});

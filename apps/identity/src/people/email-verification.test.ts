import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { manualClock, systemRandom } from "@tidegate/clock";
import { createKeyedLimiter } from "@tidegate/limits";
import { Database } from "@tidegate/service-kit";
import { createLetters } from "../mail/letters.ts";
import type { Message } from "../mail/mailer.ts";
import { MIGRATIONS, type IdentityTables } from "../schema.ts";
import { createEmailVerification } from "./email-verification.ts";
import { PeopleStore } from "./people-store.ts";

describe("createEmailVerification()", () => {
  test("five wrong codes, also all at once, end it; the right one is then too late", async () => {
    await using opened = await open();
    await opened.verification.begin(opened.ada, "ada@example.org");
    const code = opened.code();
    const wrong = code === "1111 1111" ? "2222 2222" : "1111 1111";
    const tries = await Promise.all(
      Array.from({ length: 8 }, () => opened.verification.confirm(opened.ada.id, wrong)),
    );
    assert.equal(tries.filter((outcome) => outcome === "wrong").length, 4);
    assert.equal(await opened.verification.confirm(opened.ada.id, code), "expired");
  });

  test("a code works once, for its person, for half an hour, and only the newest", async () => {
    await using opened = await open();
    const { verification, ada, eve } = opened;
    await verification.begin(ada, "ada@example.org");
    const first = opened.code();
    assert.equal(await verification.confirm(eve.id, first), "expired", "somebody else's");
    await verification.begin(ada, "ada@example.org");
    const second = opened.code();
    assert.equal(
      await verification.confirm(ada.id, first),
      first === second ? "verified" : "wrong",
    );
    opened.clock.advance(30 * 60_000 - 1);
    const outcomes = await Promise.all(
      [1, 2].map(() => verification.confirm(ada.id, second.replace(" ", ""))),
    );
    assert.deepEqual(outcomes.toSorted(), ["expired", "verified"]);
    await verification.begin(ada, "other@example.org");
    opened.clock.advance(30 * 60_000);
    assert.equal(await verification.confirm(ada.id, opened.code()), "expired");
    assert.equal((await opened.store.find(ada.id))?.email, "ada@example.org");
  });

  test("of two people who were both sent a code for one address, the first keeps it", async () => {
    await using opened = await open();
    const { verification, ada, eve } = opened;
    await verification.begin(ada, "shared@example.org");
    const adas = opened.code();
    await verification.begin(eve, "SHARED@example.org");
    const eves = opened.code();
    assert.equal(await verification.confirm(eve.id, eves), "verified");
    assert.equal(await verification.confirm(ada.id, adas), "taken");
    assert.equal((await opened.store.find(ada.id))?.isEmailVerified, false);
  });

  test("sends so many letters to one mailbox and no more, whoever asks", async () => {
    await using opened = await open();
    const { verification, ada, eve } = opened;
    for (let asked = 0; asked < 3; asked++)
      assert.ok(await verification.begin(ada, "x@example.org"));
    for (let asked = 0; asked < 2; asked++)
      assert.ok(await verification.begin(eve, "X@example.org"));
    assert.equal(await verification.begin(eve, "x@example.org"), false);
    assert.equal(opened.letters.length, 5);
  });
});

async function open() {
  const clock = manualClock(Date.UTC(2026, 10, 23));
  const database = Database.open<IdentityTables>({ file: ":memory:", migrations: MIGRATIONS });
  const store = new PeopleStore({ database, clock, random: systemRandom });
  const letters: Message[] = [];
  const perHour = (name: string) =>
    ({ kind: "bucket", name, count: 5, seconds: 3_600, burst: 5 }) as const;
  const verification = createEmailVerification({
    database,
    clock,
    random: systemRandom,
    letters: createLetters({ publicUrl: "http://localhost:8081" }),
    mail: {
      post: (_kind, message) => letters.push(message) > 0,
      waiting: 0,
      [Symbol.asyncDispose]: () => Promise.resolve(),
    },
    budget: createKeyedLimiter({
      definitions: [perHour("person"), perHour("mailbox")],
      clock,
      random: systemRandom,
    }),
  });
  const add = async (loginName: string) =>
    (await store.create({ loginName, email: undefined, passwordHash: "none" }))!;
  return {
    clock,
    store,
    verification,
    letters,
    ada: await add("ada"),
    eve: await add("eve"),
    code: () => /^ {4}(\d{4} \d{4})$/m.exec(letters.at(-1)!.text)![1]!,
    [Symbol.asyncDispose]: () => database[Symbol.asyncDispose](),
  };
}

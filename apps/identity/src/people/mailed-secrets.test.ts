import assert from "node:assert/strict";
import { test } from "node:test";
import { manualClock, systemRandom } from "@tidegate/clock";
import { Database } from "@tidegate/service-kit";
import { MIGRATIONS, type IdentityTables } from "../schema.ts";
import { sweepMailedSecrets } from "./mailed-secrets.ts";
import { PeopleStore } from "./people-store.ts";

test("sweepMailedSecrets() removes links when they expire and codes a day later, and nothing before", async () => {
  const clock = manualClock(1_700_000_000_000);
  await using database = Database.open<IdentityTables>({
    file: ":memory:",
    migrations: MIGRATIONS,
  });
  const store = new PeopleStore({ database, clock, random: systemRandom });
  const ada = await store.create({ loginName: "ada", email: undefined, passwordHash: "x" });
  const person = ada?.id ?? "";
  const expires_at_ms = clock.wallMs() + 1_800_000;
  for (const [name, late] of [
    ["one", 0],
    ["two", 60_000],
  ] as const) {
    const row = { token_hash: Buffer.from(name), person, expires_at_ms: expires_at_ms + late };
    await database.query.insertInto("reset_tokens").values(row).execute();
  }
  const code = { person, email: "a@example.org", code_hash: Buffer.from("x"), tries_left: 5 };
  await database.query
    .insertInto("email_codes")
    .values({ ...code, expires_at_ms })
    .execute();
  const left = async () => {
    await sweepMailedSecrets({ database, clock });
    const tokens = await database.query.selectFrom("reset_tokens").select("person").execute();
    const codes = await database.query.selectFrom("email_codes").select("person").execute();
    return [tokens.length, codes.length];
  };
  clock.advance(1_799_999);
  assert.deepEqual(await left(), [2, 1]);
  clock.advance(1);
  assert.deepEqual(await left(), [1, 1]);
  clock.advance(86_399_999);
  assert.deepEqual(await left(), [0, 1]);
  clock.advance(1);
  assert.deepEqual(await left(), [0, 0]);
});

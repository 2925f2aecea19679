import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { manualClock, systemRandom } from "@tidegate/clock";
import { Database } from "@tidegate/service-kit";
import { MIGRATIONS, type IdentityTables } from "../schema.ts";
import { nameDevice } from "./device-name.ts";
import { Devices } from "./devices.ts";
import { PeopleStore } from "./people-store.ts";
import { createSecretToken } from "./secret-token.ts";

describe("Devices", () => {
  test("a token that came with the browser never becomes a known one", async () => {
    await using opened = await open();
    const planted = createSecretToken(systemRandom);
    const greeting = await opened.devices.greet({ ...opened.visit, tokens: [planted] });
    assert.equal(greeting.isNew, true);
    assert.notEqual(greeting.token, planted);
    assert.equal(await opened.devices.findKnown(opened.visit.personId, [planted]), undefined);
  });

  test("the first browser is first, the second new, both known afterwards, nothing stored works", async () => {
    await using opened = await open();
    const { devices, visit } = opened;
    const first = await devices.greet({ ...visit, tokens: [] });
    const second = await devices.greet({ ...visit, tokens: [] });
    const again = await devices.greet({ ...visit, tokens: ["junk", second.token] });
    assert.deepEqual(
      [first, second, again].map(({ isNew, isFirst }) => [isNew, isFirst]),
      [
        [true, true],
        [true, false],
        [false, false],
      ],
    );
    const rows = await opened.database.query.selectFrom("devices").select("token_hash").execute();
    assert.equal(rows.length, 2);
    assert.ok(
      rows.every((row) => !Buffer.from(row.token_hash).toString("base64url").includes(first.token)),
    );
  });

  test("keeps twenty for each person, those used last", async () => {
    await using opened = await open();
    const { devices, visit, clock } = opened;
    const tokens: string[] = [];
    for (let number = 0; number < 25; number++) {
      clock.advance(1_000);
      tokens.push((await devices.greet({ ...visit, tokens: [] })).token);
    }
    assert.equal(await devices.findKnown(visit.personId, [tokens[4]!]), undefined);
    assert.equal(await devices.findKnown(visit.personId, [tokens[5]!]), tokens[5]);
  });
});

async function open() {
  const clock = manualClock(Date.UTC(2026, 10, 23));
  const database = Database.open<IdentityTables>({ file: ":memory:", migrations: MIGRATIONS });
  const store = new PeopleStore({ database, clock, random: systemRandom });
  const ada = await store.create({ loginName: "ada", email: undefined, passwordHash: "none" });
  return {
    clock,
    database,
    devices: new Devices({ database, clock, random: systemRandom }),
    visit: { personId: ada!.id, userAgent: "Firefox" },
    [Symbol.asyncDispose]: () => database[Symbol.asyncDispose](),
  };
}

test("nameDevice() names what people know", () => {
  const names = {
    "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0": "Firefox on Linux",
    "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/150.0 Safari/537.36 Edg/150.0":
      "Edge on Windows",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) Version/19.0 Mobile Safari/604.1":
      "Safari on iPhone",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) Chrome/150.0.0.0 Safari/537.36":
      "Chrome on macOS",
    "curl/8.14": "curl",
    "": "An unknown device",
    "<script>": "An unknown device",
  };
  for (const [userAgent, name] of Object.entries(names)) assert.equal(nameDevice(userAgent), name);
});

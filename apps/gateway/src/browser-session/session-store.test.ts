import assert from "node:assert/strict";
import { test } from "node:test";
import { DatabaseSync } from "node:sqlite";
import { manualClock, systemRandom } from "@tidegate/clock";
import { tempFolder } from "@tidegate/testkit";
import { GatewayDatabase } from "../store/gateway-database.ts";
import { loadSealingKeys } from "./sealing-keys.ts";
import type { SessionRecord } from "./session-record.ts";
import { SessionStore } from "./session-store.ts";

const record = (changes: Partial<SessionRecord>): SessionRecord => ({
  id: "a",
  provider: "people",
  issuer: "https://provider.example/",
  subject: "ada",
  client: "gateway",
  scopes: ["tasks:read", "tasks:write"],
  acr: "pwd",
  authTimeSeconds: 1_800_000_000,
  issuedAtSeconds: 1_800_000_001,
  providerSession: "sid",
  tokenId: "jti",
  generation: 3,
  beganMs: 1,
  usedMs: 2,
  endsMs: 1_000,
  renewMs: 4,
  grantedUntilMs: 5,
  secrets: { refreshToken: "refresh", idToken: "id", name: "Ada" },
  ...changes,
});

test("a session whose sealed part was put into another row, or whose key is gone, is no session", async () => {
  await using folder = await tempFolder();
  const file = folder.file("gateway.sqlite");
  const place = { folder: folder.path, clock: manualClock(0), random: systemRandom };
  using database = new GatewayDatabase(file);
  const store = new SessionStore(database, loadSealingKeys(place));
  store.put(record({ id: "a" }));
  store.put(record({ id: "b", subject: "mallory" }));
  const writer = new DatabaseSync(file);
  writer.exec(
    "update browser_session set sealed = (select sealed from browser_session where id = 'a') where id = 'b'",
  );
  writer.close();
  assert.deepEqual(store.get("a"), record({ id: "a" }));
  assert.equal(store.get("b"), undefined);
  await using other = await tempFolder();
  const strange = new SessionStore(database, loadSealingKeys({ ...place, folder: other.path }));
  assert.equal(strange.get("a"), undefined);
  assert.equal(store.get("a"), undefined, "it is deleted: nobody can ever open it");
});

test("replace() puts one in the other's place; touch() never sets a use back; over() finds what ended", async () => {
  await using folder = await tempFolder();
  const place = { folder: folder.path, clock: manualClock(0), random: systemRandom };
  using database = new GatewayDatabase(":memory:");
  const store = new SessionStore(database, loadSealingKeys(place));
  store.put(record({ id: "a" }));
  store.replace("a", record({ id: "b", scopes: [] }));
  assert.equal(store.get("a"), undefined);
  assert.deepEqual(store.get("b"), record({ id: "b", scopes: [] }));
  store.put(record({ id: "c", issuer: "https://other.example/", usedMs: 500 }));
  assert.deepEqual(
    store.ofPerson("https://provider.example/", "ada").map(({ id }) => id),
    ["b"],
  );
  assert.deepEqual(
    store.ofProviderSession("https://other.example/", "sid").map(({ id }) => id),
    ["c"],
  );
  store.touch(
    new Map([
      ["b", 400],
      ["c", 100],
      ["gone", 1],
    ]),
  );
  assert.deepEqual([store.get("b")?.usedMs, store.get("c")?.usedMs], [400, 500]);
  assert.deepEqual(
    store.over(600, 150).map(({ id }) => id),
    ["b"],
  );
  assert.deepEqual(new Set(store.over(1_000, 10_000).map(({ id }) => id)), new Set(["b", "c"]));
  assert.equal(store.delete("b"), true);
  assert.equal(store.delete("b"), false);
});

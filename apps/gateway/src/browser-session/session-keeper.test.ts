import assert from "node:assert/strict";
import { test } from "node:test";
import { manualClock, systemRandom } from "@tidegate/clock";
import { tempFolder } from "@tidegate/testkit";
import type { Log } from "../record/logger.ts";
import { GatewayDatabase } from "../store/gateway-database.ts";
import { loadSealingKeys } from "./sealing-keys.ts";
import { SessionKeeper } from "./session-keeper.ts";
import { SessionStore } from "./session-store.ts";

test("a session of a provider that is configured no more, or under another issuer, is over", async () => {
  await using folder = await tempFolder();
  const clock = manualClock(0);
  const place = { folder: folder.path, clock, random: systemRandom };
  using database = new GatewayDatabase(":memory:");
  const store = new SessionStore(database, loadSealingKeys(place));
  const told: unknown[] = [];
  const ended: unknown[] = [];
  const log: Pick<Log, "event"> = { event: (_, name, fields) => void ended.push([name, fields]) };
  using keeper = new SessionKeeper({
    store,
    providers: new Map(),
    limits: { idleTimeoutSeconds: 600, absoluteTimeoutSeconds: 600, maxPerPerson: 1 },
    dataThreads: { tell: async (kind, news) => void told.push([kind, news]) },
    log: log as Log,
    clock,
    random: systemRandom,
  });
  store.put({
    id: "a",
    provider: "people",
    issuer: "https://provider.example/",
    subject: "ada",
    client: "gateway",
    scopes: [],
    acr: "",
    authTimeSeconds: 0,
    issuedAtSeconds: 0,
    providerSession: "",
    tokenId: "",
    generation: 0,
    beganMs: 0,
    usedMs: 0,
    endsMs: 600_000,
    renewMs: 600_000,
    grantedUntilMs: 600_000,
    secrets: { refreshToken: "refresh", idToken: "id", name: "" },
  });
  assert.deepEqual(await keeper.open("a", { isUse: true }), { outcome: "gone" });
  assert.equal(store.get("a"), undefined);
  assert.deepEqual(told, [["browser-sessions-ended", { ids: ["a"], why: "not-configured" }]]);
  const fields = { provider: "people", subject: "ada", why: "not-configured" };
  assert.deepEqual(ended, [["session.ended", fields]]);
});

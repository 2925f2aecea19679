import assert from "node:assert/strict";
import { test } from "node:test";
import { manualClock, systemRandom, type ManualClock } from "@tidegate/clock";
import { createLogger, Database } from "@tidegate/service-kit";
import { createIdentityEvents } from "../events.ts";
import { PeopleStore } from "../people/people-store.ts";
import { MIGRATIONS, type IdentityTables } from "../schema.ts";
import { ArtifactStore, type ArtifactBounds } from "./artifact-store.ts";
import { ConsentStore } from "./consents.ts";
import { SessionStore } from "./session-store.ts";

interface Stores extends AsyncDisposable {
  readonly clock: ManualClock;
  readonly database: Database<IdentityTables>;
  readonly artifacts: ArtifactStore;
  readonly sessions: SessionStore;
  /** Signs somebody in, as the library would write it down. */
  signIn(
    uid: string,
    options?: { readonly personId?: string; readonly grantId?: string },
  ): Promise<boolean>;
}

function openStores(bounds?: ArtifactBounds): Stores {
  const clock = manualClock(1_700_000_000_000);
  const database = Database.open<IdentityTables>({ file: ":memory:", migrations: MIGRATIONS });
  const events = createIdentityEvents(createLogger({ service: "identity", level: "silent" }));
  const artifacts = new ArtifactStore({ database, clock, ...(bounds && { bounds }) });
  const sessions = new SessionStore({
    database,
    clock,
    random: systemRandom,
    events,
    toldOfLogout: new Set(["told"]),
    wakeDeliveries: () => undefined,
  });
  return {
    clock,
    database,
    artifacts,
    sessions,
    async signIn(uid, { personId = "ada", grantId = `grant of ${uid}` } = {}) {
      const expiresAtSeconds = artifacts.nowSeconds() + 1_000;
      const isStored = await artifacts.put({
        kind: "Session",
        id: `cookie of ${uid}`,
        sessionUid: uid,
        personId,
        isFinal: false,
        expiresAtSeconds,
        payload: {
          uid,
          accountId: personId,
          exp: expiresAtSeconds,
          authorizations: { told: { sid: `sid of ${uid}`, grantId }, silent: { sid: "x" } },
        },
      });
      if (isStored) await sessions.noteUse(uid, "a browser");
      return isStored;
    },
    [Symbol.asyncDispose]: () => database[Symbol.asyncDispose](),
  };
}

test("end() takes everything of the session in one step, notes who is to be told, and spares others", async () => {
  await using stores = openStores();
  const { artifacts, sessions, database } = stores;
  await stores.signIn("one");
  await stores.signIn("two");
  const expiresAtSeconds = artifacts.nowSeconds() + 100;
  for (const [kind, grantId, sessionUid] of [
    ["RefreshToken", "grant of one", "one"],
    ["AccessToken", "grant of one", "one"],
    ["Grant", "grant of one", undefined],
    ["AuthorizationCode", undefined, "one"],
    ["RefreshToken", "grant of two", "two"],
  ] as const) {
    const id = `${kind} of ${sessionUid}`;
    await artifacts.put({
      kind,
      id,
      grantId,
      sessionUid,
      payload: {},
      expiresAtSeconds,
      isFinal: true,
    });
  }
  assert.equal(await sessions.end("one", "signed-out"), true);
  assert.equal(await sessions.end("one", "signed-out"), false);
  assert.equal(await artifacts.find("RefreshToken", "RefreshToken of one"), undefined);
  const left = await database.query
    .selectFrom("artifacts")
    .select(["kind", "session_uid"])
    .execute();
  assert.deepEqual(
    left.map(({ kind, session_uid }) => `${kind} ${session_uid}`),
    ["RefreshToken two", "Session two"],
  );
  const deliveries = await database.query.selectFrom("logout_deliveries").selectAll().execute();
  assert.deepEqual(
    deliveries.map(({ client_id, person_id, sid }) => ({ client_id, person_id, sid })),
    [{ client_id: "told", person_id: "ada", sid: "sid of one" }],
  );
  assert.equal(await stores.signIn("one"), false, "nothing brings it back");
});

test("keepBounded() ends the sessions longest unused beyond a hundred, and nobody else's", async () => {
  await using stores = openStores();
  const { sessions, clock } = stores;
  await stores.signIn("of grace", { personId: "grace" });
  for (let index = 0; index < 102; index++) {
    clock.advance(1_000);
    await stores.signIn(`session ${index}`);
  }
  await sessions.keepBounded("ada");
  const left = (await sessions.list("ada")).map(({ session }) => session.uid);
  assert.equal(left.length, 100);
  assert.equal(left.includes("session 0") || left.includes("session 1"), false);
  assert.equal((await sessions.list("grace")).length, 1);
});

test("sweep() removes what expired, tells of sessions that ended so, and forgets the ended ones in time", async () => {
  await using stores = openStores();
  const { sessions, clock, database } = stores;
  await stores.signIn("ended");
  await sessions.end("ended", "ended-by-person");
  await stores.signIn("expired");
  clock.advance(1_000_000);
  assert.deepEqual(await sessions.list("ada"), [], "what expired is not listed, swept or not");
  assert.equal(await sessions.sweep(), false);
  assert.deepEqual(await database.query.selectFrom("artifacts").select("kind").execute(), []);
  const told = await database.query.selectFrom("logout_deliveries").select("sid").execute();
  assert.deepEqual(told.map(({ sid }) => sid).sort(), ["sid of ended", "sid of expired"]);
  clock.advance(91 * 86_400_000);
  await sessions.sweep();
  assert.deepEqual(await database.query.selectFrom("ended_sessions").selectAll().execute(), []);
});

test("consume() tells exactly one of many that it was the first", async () => {
  await using stores = openStores();
  const { artifacts } = stores;
  const code = { kind: "AuthorizationCode", id: "code", payload: {}, isFinal: true };
  await artifacts.put({ ...code, expiresAtSeconds: artifacts.nowSeconds() + 60 });
  const answers = await Promise.all(
    Array.from({ length: 10 }, () => artifacts.consume("AuthorizationCode", "code")),
  );
  assert.equal(answers.filter(({ isFirst }) => isFirst).length, 1);
  assert.equal(
    await artifacts.put({ ...code, expiresAtSeconds: artifacts.nowSeconds() + 60 }),
    false,
  );
});

test("ConsentStore adds what is allowed to what was, and forgets it with the person", async () => {
  await using stores = openStores();
  const { database, clock } = stores;
  const people = new PeopleStore({ database, clock, random: systemRandom });
  const ada = await people.create({ loginName: "ada", email: undefined, passwordHash: "x" });
  const personId = ada?.id ?? "";
  const consents = new ConsentStore({ database, clock });
  await consents.add(personId, { clientId: "app", scopes: ["openid"] });
  await consents.add(personId, { clientId: "app", scopes: ["email"] });
  assert.deepEqual(await consents.find(personId, "app"), new Set(["openid", "email"]));
  assert.deepEqual(await consents.find(personId, "other"), new Set());
  await people.delete(personId);
  assert.deepEqual(await consents.find(personId, "app"), new Set());
});

test("put() keeps so many waiting sign-ins over everybody: the oldest go, the next is never turned away", async () => {
  await using stores = openStores({ maxInteractions: 20, maxRefreshTokensPerGrant: 1 });
  const { artifacts, clock } = stores;
  for (let count = 0; count < 60; count++) {
    clock.advance(1_000);
    const expiresAtSeconds = artifacts.nowSeconds() + 900;
    const one = { kind: "Interaction", id: `i${count}`, payload: {}, isFinal: false };
    assert.equal(await artifacts.put({ ...one, expiresAtSeconds }), true);
  }
  const isThere = async (id: string) => (await artifacts.find("Interaction", id)) !== undefined;
  assert.equal(await isThere("i39"), false);
  for (let count = 40; count < 60; count++) assert.equal(await isThere(`i${count}`), true);
});

test("put() keeps so many refresh tokens of a grant, and always the one in use, also when all expire together", async () => {
  await using stores = openStores({ maxInteractions: 20, maxRefreshTokensPerGrant: 10 });
  const { artifacts } = stores;
  const expiresAtSeconds = artifacts.nowSeconds() + 1_000;
  for (const grantId of ["other", "busy"]) {
    for (let count = 0; count < (grantId === "busy" ? 50 : 5); count++) {
      const id = `${grantId} ${count}`;
      const one = { kind: "RefreshToken", id, grantId, payload: {}, isFinal: true };
      await artifacts.put({ ...one, expiresAtSeconds });
      assert.ok(await artifacts.find("RefreshToken", id), "the new one stays");
      await artifacts.consume("RefreshToken", id);
    }
  }
  const rows = await artifacts.queries
    .selectFrom("artifacts")
    .select(["grant_hash"])
    .where("kind", "=", "RefreshToken")
    .execute();
  const counts = Object.groupBy(rows, ({ grant_hash }) => grant_hash ?? "");
  assert.deepEqual(
    Object.values(counts)
      .map((some) => some?.length)
      .toSorted(),
    [10, 5],
  );
});

test("sweep() removes everything that expired, of every kind, and nothing that has not", async () => {
  await using stores = openStores();
  const { artifacts, clock, sessions } = stores;
  const kinds = ["Interaction", "AuthorizationCode", "AccessToken", "RefreshToken", "Grant"];
  for (const kind of [...kinds, "PushedAuthorizationRequest", "ReplayDetection"]) {
    for (const [id, seconds] of [
      ["old", 60],
      ["new", 600],
    ] as const) {
      const expiresAtSeconds = artifacts.nowSeconds() + seconds;
      await artifacts.put({ kind, id, payload: {}, isFinal: false, expiresAtSeconds });
    }
  }
  clock.advance(60_000);
  assert.equal(await sessions.sweep(), false);
  const rows = await artifacts.queries.selectFrom("artifacts").select("expires_at").execute();
  assert.equal(rows.length, 7);
  assert.ok(rows.every((row) => row.expires_at > artifacts.nowSeconds()));
});

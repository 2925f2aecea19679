import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { describe, test } from "node:test";
import { attachReplayMemory, createReplayTable, hashPassword } from "@tidegate/auth";
import { manualClock, systemRandom } from "@tidegate/clock";
import { issuer as startIssuer, tempFolder, waitFor } from "@tidegate/testkit";
import type { RequestHead } from "../accept/request-head.ts";
import { identitySchema } from "../config/identity-schema.ts";
import { REASON, REASON_BY_CODE } from "../judge/reason.ts";
import { createRefusal } from "../judge/refusal.ts";
import type { Log } from "../record/logger.ts";
import type { Route } from "../route/route.ts";
import { createIdentifier } from "./create-identifier.ts";
import type { Identity } from "./identifier.ts";

const AUDIENCE = "https://api.test";
const proofs = {
  replays: attachReplayMemory(createReplayTable({ random: systemRandom, slotCount: 1_024 })),
  nonceSecret: systemRandom.bytes(32),
};
const keyUse = { used() {}, [Symbol.dispose]() {} };
const basic = (user: string, password: string): string =>
  `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}`;

/** Two providers and a users file of `ada`, as configured under `identity`. */
async function setUp() {
  const clock = manualClock(Date.now());
  const folder = await tempFolder();
  const people = await startIssuer({ algorithms: ["EdDSA"], clock });
  const partners = await startIssuer({ algorithms: ["EdDSA"], clock });
  const file = folder.file("users.json");
  const password = await hashPassword("secret", {
    random: systemRandom,
    cost: { logN: 15, blockSize: 8, parallelism: 1 },
  });
  await writeFile(file, JSON.stringify({ name: "staff", users: { ada: { password } } }));
  const lines: string[] = [];
  const log = {
    event: (level: string, name: string, fields: object) =>
      void lines.push(JSON.stringify({ level, name, ...fields })),
  } as unknown as Log;
  const oidc = (issuer: string, audience = AUDIENCE) =>
    identitySchema.parse({
      kind: "oidc",
      issuer,
      audience,
      algorithms: ["EdDSA"],
      maxTokenLifetimeSeconds: 3_600,
      maxKeyAgeMs: 3_600_000,
    });
  const providers = {
    people: oidc(people.url),
    "people-of-bank": oidc(people.url, "https://bank.test"),
    partners: oidc(partners.url),
    staff: { kind: "users-file", file, realm: "staff" },
  } as const;
  const identifier = await createIdentifier({
    config: { identity: providers },
    proofs,
    keyUse,
    clock,
    random: systemRandom,
    log,
  });
  const routes = new Map<string, Route>();
  const routeBy = (by: readonly string[] | "none"): Route => {
    const auth = by === "none" ? by : { by, scopes: [], acr: [] };
    const key = JSON.stringify(auth);
    const route = routes.get(key) ?? ({ config: { auth } } as unknown as Route);
    routes.set(key, route);
    return route;
  };
  // One connection for all calls, so that nothing it remembers may let a call in that would not get in alone.
  const peer = { address: "192.0.2.1", network: "192.0.2.1", port: 1, connectionNumber: 1 };
  const start = (
    by: readonly string[] | "none",
    fields: Partial<RequestHead>,
    signal = AbortSignal.timeout(10_000),
  ) => {
    const refusal = createRefusal();
    const head = { authorization: undefined, cookie: undefined, ...fields } as RequestHead;
    const answer = identifier.identify({ head, route: routeBy(by), peer }, refusal, { signal });
    return { answer, refusal };
  };
  const ask = async (by: readonly string[] | "none", fields: Partial<RequestHead>) => {
    const { answer, refusal } = start(by, fields);
    const identity = await answer;
    const name = REASON_BY_CODE[refusal.reason]?.name ?? "";
    assert.equal(identity === undefined, refusal.reason !== REASON.none, name);
    return { identity, refusal, name };
  };
  return {
    clock,
    people,
    partners,
    identifier,
    providers,
    lines,
    start,
    ask,
    bearer: async (...options: Parameters<typeof people.mint>) => ({
      authorization: `Bearer ${await people.mint(...options)}`,
    }),
    async [Symbol.asyncDispose]() {
      identifier[Symbol.dispose]();
      await people[Symbol.asyncDispose]();
      await partners[Symbol.asyncDispose]();
      await folder[Symbol.asyncDispose]();
    },
  };
}

const subjectOf = (identity: Identity | undefined) =>
  identity && [identity.principal.issuer, identity.principal.subject];

describe("identify(): what is refused", () => {
  test("a credential that this route's issuers do not check, though another route's would", async () => {
    await using t = await setUp();
    const token = await t.bearer();
    const bankToken = await t.bearer({ aud: "https://bank.test" });
    const ada = { authorization: basic("ada", "secret") };
    assert.equal((await t.ask(["partners"], token)).name, "credential-invalid");
    assert.equal((await t.ask(["staff"], token)).name, "credential-invalid");
    assert.equal((await t.ask(["people"], ada)).name, "credential-invalid");
    assert.equal((await t.ask(["people"], bankToken)).name, "credential-invalid");
    // Each is good where it belongs, and being remembered there opens no other door.
    for (const [by, fields] of [
      ["people", token],
      ["staff", ada],
      ["people-of-bank", bankToken],
    ] as const) {
      assert.ok((await t.ask([by], fields)).identity, by);
    }
    assert.equal((await t.ask(["partners"], token)).name, "credential-invalid");
    assert.equal((await t.ask(["people"], bankToken)).name, "credential-invalid");
    assert.equal((await t.ask(["people"], ada)).name, "credential-invalid");
  });

  test("a token that the connection showed before, once it has expired, and another one in its place", async () => {
    await using t = await setUp();
    const exp = Math.floor(t.clock.wallMs() / 1_000) + 60;
    const token = await t.bearer({ exp });
    for (let call = 0; call < 3; call++) assert.ok((await t.ask(["people"], token)).identity);
    // Another character in the middle of the signature; the last one has bits that do not count.
    const swapped = token.authorization.at(-10) === "A" ? "B" : "A";
    const forged = {
      authorization: `${token.authorization.slice(0, -10)}${swapped}${token.authorization.slice(-9)}`,
    };
    assert.equal((await t.ask(["people"], forged)).name, "credential-invalid");
    const other = await t.bearer({ sub: "other" });
    assert.deepEqual(subjectOf((await t.ask(["people"], other)).identity), [t.people.url, "other"]);
    assert.ok((await t.ask(["people"], token)).identity);
    t.clock.advance(66_000);
    assert.equal((await t.ask(["people"], token)).name, "credential-invalid");
  });

  test("two credentials at once, also where one alone would be good", async () => {
    await using t = await setUp();
    const cookie = "__Host-tidegate=abc";
    const both = { ...(await t.bearer()), cookie };
    assert.equal((await t.ask(["people"], both)).name, "credential-ambiguous");
    const withBasic = { authorization: basic("ada", "secret"), cookie };
    assert.equal((await t.ask(["staff"], withBasic)).name, "credential-ambiguous");
  });

  test("no credential, as missing; one that is none, as invalid; at once", async () => {
    await using t = await setUp();
    const by = ["people", "staff"];
    assert.equal((await t.ask(by, {})).name, "credential-missing");
    assert.equal((await t.ask(by, { cookie: "theme=dark" })).name, "credential-missing");
    assert.equal((await t.ask(by, { cookie: "__Host-tidegate=x" })).name, "credential-missing");
    for (const authorization of [
      "",
      "Bearer",
      "Bearer ",
      "Bearer a.b.c",
      `Bearer ${"a".repeat(9_000)}`,
      "Basic",
      "Basic !",
      "Digest username=ada",
      "Token abc",
    ]) {
      const { answer, refusal } = t.start(by, { authorization });
      assert.ok(!(answer instanceof Promise), authorization);
      assert.equal(refusal.reason, REASON.credential_invalid, authorization);
    }
  });

  test("a token that names an issuer nobody configured, without asking that issuer", async () => {
    await using t = await setUp();
    await t.ask(["people"], await t.bearer());
    const before = { ...t.people.fetches };
    const { name } = await t.ask(["people"], await t.bearer({ iss: t.partners.url }));
    assert.equal(name, "credential-invalid");
    assert.deepEqual({ ...t.people.fetches }, before);
  });

  test("keys out of reach as unavailable with a wait, never as invalid", async () => {
    await using t = await setUp();
    await waitFor(() => t.identifier.isReady, { what: "first keys" });
    const token = await t.bearer();
    t.people.outage = "error";
    await t.people.rotate({ keepsOld: false });
    t.clock.advance(10_000);
    const { name, refusal } = await t.ask(["people"], await t.bearer());
    assert.equal(name, "identity-unavailable");
    assert.ok(refusal.retryAfterMs >= 1_000);
    // A key that is known still counts.
    assert.ok((await t.ask(["people"], token)).identity);
    assert.ok(t.lines.some((line) => line.includes("issuer.failed")));
  });

  test("a guesser, with the wait that is left, and nobody else", async () => {
    await using t = await setUp();
    const guess = (password: string) => ({ authorization: basic("ada", password) });
    for (const password of ["one", "two", "three"]) {
      assert.equal((await t.ask(["staff"], guess(password))).name, "credential-invalid");
    }
    const { name, refusal } = await t.ask(["staff"], guess("secret"));
    assert.equal(name, "identity-back-off");
    assert.equal(refusal.retryAfterMs, 1_000);
    t.clock.advance(1_000);
    assert.ok((await t.ask(["staff"], guess("secret"))).identity);
  });

  test("more passwords at once than can be hashed, as busy", async () => {
    await using t = await setUp();
    const names = await Promise.all(
      Array.from({ length: 36 }, (_, i) =>
        // All wait on real hashes, so the caller leaves before they are made.
        Promise.resolve(
          t.start(["staff"], { authorization: basic(`user${i}`, "guess") }).refusal.reason,
        ),
      ),
    );
    assert.equal(names.filter((reason) => reason === REASON.identity_busy).length, 2);
  });
});

describe("identify(): who is let in", () => {
  test("a good token is verified once and then remembered without a wait", async () => {
    await using t = await setUp();
    const fields = await t.bearer({ scope: "tasks:read" });
    const first = await t.ask(["people", "staff"], fields);
    assert.deepEqual(subjectOf(first.identity), [t.people.url, "ada"]);
    const { answer } = t.start(["people", "staff"], fields);
    assert.ok(!(answer instanceof Promise));
    assert.equal(answer?.principal, first.identity?.principal);
    assert.match(answer?.fingerprint ?? "", /^[\w-]{43}$/);
    assert.ok(!fields.authorization.includes(answer?.fingerprint ?? ""));
  });

  test("the same subject of two issuers stays two people", async () => {
    await using t = await setUp();
    const by = ["people", "partners", "staff"];
    const one = await t.ask(by, await t.bearer());
    const two = await t.ask(by, { authorization: `Bearer ${await t.partners.mint()}` });
    const three = await t.ask(by, { authorization: basic("ada", "secret") });
    assert.deepEqual(
      [one, two, three].map(({ identity }) => subjectOf(identity)),
      [
        [t.people.url, "ada"],
        [t.partners.url, "ada"],
        ["urn:tidegate:users:staff", "ada"],
      ],
    );
  });

  test("one issuer with two audiences is asked for the one that fits", async () => {
    await using t = await setUp();
    const by = ["people", "people-of-bank"];
    assert.ok((await t.ask(by, await t.bearer())).identity);
    assert.ok((await t.ask(by, await t.bearer({ aud: "https://bank.test" }))).identity);
    const both = await t.bearer({ aud: [AUDIENCE, "https://bank.test"] });
    assert.equal((await t.ask(by, both)).name, "credential-invalid");
  });

  test("everybody where nothing is asked, even with a credential that is bad", async () => {
    await using t = await setUp();
    for (const fields of [
      {},
      { authorization: "Bearer stale" },
      { authorization: basic("ada", "wrong"), cookie: "__Host-tidegate=x" },
    ]) {
      const { identity } = await t.ask("none", fields);
      assert.equal(identity?.principal.kind, "anonymous");
      assert.equal(identity?.fingerprint, "");
    }
  });
});

describe("identify(): its life", () => {
  test("a caller who leaves is no failure", async () => {
    await using t = await setUp();
    t.people.outage = "silence";
    const caller = new AbortController();
    const { answer } = t.start(["people"], await t.bearer(), caller.signal);
    caller.abort();
    assert.equal(await answer, undefined);
  });

  test("readiness() tells issuers without keys, and those that live on old ones", async () => {
    await using t = await setUp();
    await waitFor(() => t.identifier.isReady, { what: "first keys" });
    assert.deepEqual(
      t.identifier.readiness().map(({ name, isReady }) => [name, isReady]),
      [
        ["issuer people", true],
        ["issuer people-of-bank", true],
        ["issuer partners", true],
        ["issuer staff", true],
      ],
    );
    t.people.outage = "cut";
    t.clock.advance(660_000);
    await waitFor(() => /does not answer/.test(t.identifier.readiness()[0]?.detail ?? ""), {
      what: "the failed reload",
    });
    assert.equal(t.identifier.isReady, true);
    t.clock.advance(3_600_000);
    assert.equal(t.identifier.isReady, false);
  });

  test("the log never has a credential, and says why only where it is asked for details", async () => {
    await using t = await setUp();
    const fields = await t.bearer({ aud: "https://other.test" });
    await t.ask(["people"], fields);
    await t.ask(["staff"], { authorization: basic("ada", "canary-password") });
    const text = t.lines.join("\n");
    for (const secret of [
      fields.authorization.slice(7),
      "canary-password",
      basic("ada", "canary-password").slice(6),
    ]) {
      assert.ok(!text.includes(secret));
    }
    const refusals = t.lines.filter((line) => line.includes("credential.refused"));
    assert.deepEqual(
      refusals.map((line) => JSON.parse(line)),
      [
        { level: "debug", name: "credential.refused", why: "audience" },
        { level: "debug", name: "credential.refused", why: "password" },
      ],
    );
  });

  test("createIdentifier() refuses two users files of one name, and a missing one by its path", async () => {
    await using t = await setUp();
    const { staff } = t.providers;
    const means = {
      proofs,
      keyUse,
      clock: t.clock,
      random: systemRandom,
      log: { event() {} } as unknown as Log,
    };
    await assert.rejects(
      createIdentifier({ config: { identity: { staff, again: staff } }, ...means }),
      /staff and again: both are called urn:tidegate:users:staff/,
    );
    const missing = { ...staff, file: "/nowhere/users.json" };
    await assert.rejects(
      createIdentifier({ config: { identity: { missing } }, ...means }),
      /\/nowhere\/users\.json/,
    );
  });
});

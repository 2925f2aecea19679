// Credentials that only their provider can judge, at the real gateway: opaque tokens, and Basic through the provider.

import assert from "node:assert/strict";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { join } from "node:path";
import { describe, test } from "node:test";
import { startUpstream, waitFor } from "@tidegate/testkit";
import { get, startGateway } from "./http-harness.ts";

const CLIENT = { id: "gateway", secret: "canary-secret" };
const basic = (user: string, password: string): string =>
  `Authorization: Basic ${Buffer.from(`${user}:${password}`).toString("base64")}`;

/** A provider with two endpoints, whose answers a test may change or hold back. */
async function startProvider() {
  const asked: { path: string; form: URLSearchParams }[] = [];
  const state = {
    answer: {} as object,
    isSilent: false,
    held: undefined as Promise<void> | undefined,
  };
  const server = createServer((request, response) => {
    let body = "";
    request.setEncoding("utf8");
    request.on("data", (chunk: string) => (body += chunk));
    request.on("end", () => {
      const path = request.url ?? "";
      if (path === "/.well-known/openid-configuration") {
        const metadata = { issuer: url, introspection_endpoint: `${url}/introspect` };
        response.end(JSON.stringify(metadata));
        return;
      }
      const form = new URLSearchParams(body);
      asked.push({ path, form });
      if (state.isSilent) return;
      const nowSeconds = Math.floor(Date.now() / 1_000);
      const isKnown = form.get("token") === "good-token" || form.get("password") === "right";
      const person = {
        active: true,
        iss: url,
        sub: "person-1",
        aud: "https://api.test",
        client_id: "web",
        token_type: "Bearer",
        scope: "tasks:read",
        exp: nowSeconds + 300,
      };
      const answer = isKnown ? { ...person, ...state.answer } : { active: false };
      const send = (): void => void response.end(JSON.stringify(answer));
      if (state.held === undefined) send();
      else void state.held.then(send);
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  const url = `http://127.0.0.1:${address.port}`;
  return {
    url,
    asked,
    state,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

async function setUp({ threads = 0, timeoutMs = 3_000 } = {}) {
  await using parts = new AsyncDisposableStack();
  const provider = parts.use(await startProvider());
  const upstream = parts.use(await startUpstream());
  const gateway = parts.use(
    await startGateway({
      targets: [upstream.url],
      threads,
      identity: {
        people: {
          kind: "oidc",
          issuer: provider.url,
          audience: "https://api.test",
          tokenFormat: "opaque",
          client: CLIENT,
          introspection: { timeoutMs },
          basic: { endpoint: `${provider.url}/basic`, realm: "tasks", timeoutMs },
        },
      },
      routes: [
        { path: "/tasks/**", auth: { by: ["people"], scopes: ["tasks:read"] } },
        { path: "/pay", auth: { by: ["people"] }, highValue: true },
        { path: "/fresh", auth: { by: ["people"], maxAgeSeconds: 300 } },
      ],
    }),
  );
  const owned = parts.move();
  return {
    provider,
    upstream,
    gateway,
    ask: (path: string, ...fields: string[]) => gateway.ask(get(path, fields)),
    async revoke(subject: string) {
      const token = await readFile(join(gateway.dataFolder, "admin-token"), "utf8");
      const answer = await fetch(
        new URL(`/revocations?issuer=people&subject=${subject}`, gateway.adminUrl),
        { method: "POST", headers: { authorization: `Bearer ${token.trim()}` } },
      );
      assert.equal(answer.status, 200, await answer.text());
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

describe("opaque tokens at the gateway", () => {
  test("are asked about once, refused when the provider does not know them, and asked anew where much is at stake", async () => {
    await using t = await setUp();
    assert.equal((await t.ask("/tasks/1", "Authorization: Bearer made-up")).status, 401);
    const good = "Authorization: Bearer good-token";
    assert.equal((await t.ask("/tasks/1", good)).status, 200);
    assert.equal((await t.ask("/tasks/1", good)).status, 200);
    assert.equal(t.provider.asked.length, 2);
    assert.equal((await t.ask("/pay", good)).status, 200);
    assert.equal(t.provider.asked.length, 3);
    t.provider.state.answer = { active: false };
    assert.equal((await t.ask("/tasks/1", good)).status, 200);
    assert.equal((await t.ask("/pay", good)).status, 401);
    assert.equal((await t.ask("/tasks/1", good)).status, 401);
  });

  test("a provider that hangs costs 503 with a wait, never 401, and holds up nobody else", async () => {
    await using t = await setUp({ timeoutMs: 200 });
    const good = "Authorization: Bearer good-token";
    assert.equal((await t.ask("/tasks/1", good)).status, 200);
    t.provider.state.isSilent = true;
    const answer = await t.ask("/tasks/1", "Authorization: Bearer another");
    assert.equal(answer.status, 503);
    assert.ok(Number(answer.field("retry-after")) >= 1);
    assert.equal(answer.field("www-authenticate"), undefined);
    assert.equal((await t.ask("/tasks/1", good)).status, 200);
    for (let count = 0; count < 4; count++)
      assert.equal((await t.ask("/tasks/1", `Authorization: Bearer other-${count}`)).status, 503);
    await t.gateway.loggedAtLeast("introspection.failed", 1);
  });
});

describe("Basic through the provider at the gateway", () => {
  test("is asked about once for all workers, by the main thread", async () => {
    await using t = await setUp({ threads: 2 });
    const ada = basic("ada", "right");
    const answers = await Promise.all(
      Array.from({ length: 16 }, () => t.ask("/tasks/1", ada, "Connection: close")),
    );
    assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([200]));
    assert.equal(t.provider.asked.length, 1);
    assert.equal(t.provider.asked[0]?.form.get("address"), "127.0.0.1");
  });

  for (const threads of [0, 2])
    test(`is asked about anew after its person was revoked, with ${threads} workers: what was remembered counts no more`, async () => {
      await using t = await setUp({ threads });
      const ada = basic("ada", "right");
      const statuses = async () => {
        const answers = Array.from({ length: 12 }, () =>
          t.ask("/tasks/1", ada, "Connection: close"),
        );
        return new Set((await Promise.all(answers)).map(({ status }) => status));
      };
      assert.deepEqual(await statuses(), new Set([200]));
      assert.equal(t.provider.asked.length, 1);
      // Of somebody else: remembered again after one question.
      await t.revoke("person-2");
      assert.deepEqual(await statuses(), new Set([200]));
      assert.equal(t.provider.asked.length, 2);
      t.provider.state.answer = { active: false };
      await t.revoke("person-1");
      const after = await statuses();
      assert.ok(!after.has(200), [...after].join());
      assert.ok(after.has(401), [...after].join());
    });

  for (const threads of [0, 2])
    test(`checks that were under way at the revocation count for nobody, with ${threads} workers`, async () => {
      await using t = await setUp({ threads });
      const ada = basic("ada", "right");
      let release = (): void => {};
      t.provider.state.held = new Promise<void>((resolve) => (release = resolve));
      const early = t.ask("/tasks/1", ada, "Connection: close");
      await waitFor(() => t.provider.asked.length === 1, { what: "the question" });
      await t.revoke("person-1");
      t.provider.state.answer = { active: false };
      // It does not join the question that was asked before.
      const late = t.ask("/tasks/1", ada, "Connection: close");
      await waitFor(() => t.provider.asked.length === 2, { what: "another question" });
      release();
      assert.deepEqual([(await early).status, (await late).status], [401, 401]);
      assert.notEqual((await t.ask("/tasks/1", ada, "Connection: close")).status, 200);
      assert.equal(t.upstream.requests.length, 0);
    });

  test("slows guesses down over all workers", async () => {
    await using t = await setUp({ threads: 2 });
    const statuses: number[] = [];
    for (let count = 0; count < 8; count++) {
      const guess = basic("ada", `guess ${count}`);
      statuses.push((await t.ask("/tasks/1", guess, "Connection: close")).status);
    }
    assert.deepEqual(statuses, [401, 401, 401, 429, 429, 429, 429, 429]);
    assert.equal(t.provider.asked.length, 3);
  });

  test("never satisfies a demand for freshness, and offers Basic under the provider's realm", async () => {
    await using t = await setUp();
    t.provider.state.answer = { auth_time: Math.floor(Date.now() / 1_000), acr: "phr" };
    const answer = await t.ask("/fresh", basic("ada", "right"));
    assert.equal(answer.status, 401);
    assert.match(
      answer.field("www-authenticate") ?? "",
      /^Bearer .*insufficient_user_authentication/,
    );
    const asked = await t.ask("/tasks/1");
    const challenges = asked.fields.filter(([name]) => name.toLowerCase() === "www-authenticate");
    assert.deepEqual(
      challenges.map(([, value]) => value),
      ['Bearer realm="tidegate"', 'Basic realm="tasks", charset="UTF-8"'],
    );
  });

  test("a provider that hangs costs 503, and no password, token or secret is logged", async () => {
    await using t = await setUp({ timeoutMs: 200 });
    t.provider.state.isSilent = true;
    const answer = await t.ask("/tasks/1", basic("ada", "canary-password"));
    assert.equal(answer.status, 503);
    for (let count = 0; count < 4; count++)
      await t.ask("/tasks/1", "Authorization: Bearer canary-token");
    for (let count = 0; count < 5; count++)
      await t.ask("/tasks/1", basic("ada", `canary-${count}`));
    const lines = await waitFor(
      async () => {
        const all = [
          ...(await t.gateway.logged("password-check.failed")),
          ...(await t.gateway.logged("introspection.failed")),
          ...(await t.gateway.logged("request")),
        ];
        return all.length >= 10 ? JSON.stringify(all) : undefined;
      },
      { what: "the log" },
    );
    assert.doesNotMatch(lines, /canary/);
    assert.doesNotMatch(
      lines,
      new RegExp(Buffer.from("ada:canary").toString("base64").slice(0, 12)),
    );
  });
});

// API keys at the real gateway, over two workers: shown, refused, rotated while it runs, and their last use written down.

import assert from "node:assert/strict";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, test } from "node:test";
import { keysFileWriter, readKeyUses } from "@tidegate/auth";
import { systemClock, systemRandom } from "@tidegate/clock";
import { issuer as startIssuer, startUpstream, tempFolder, waitFor } from "@tidegate/testkit";
import { WebSocket as WsClient } from "ws";
import { get, startGateway } from "./http-harness.ts";

async function setUp({ threads = 0 } = {}) {
  await using parts = new AsyncDisposableStack();
  const folder = parts.use(await tempFolder());
  const path = folder.file("keys.json");
  const writer = () =>
    keysFileWriter({
      path,
      fileName: "partners",
      random: systemRandom,
      nowMs: systemClock.wallMs(),
    });
  const key = await writer().add({
    name: "billing",
    scopes: ["tasks:read"],
    expiresAtMs: undefined,
  });
  const provider = parts.use(await startIssuer({ algorithms: ["ES256"] }));
  const upstream = parts.use(await startUpstream());
  const gateway = parts.use(
    await startGateway({
      targets: [upstream.url],
      threads,
      identity: {
        programs: { kind: "api-keys", file: path, header: "x-api-key" },
        people: { kind: "oidc", issuer: provider.url, audience: "https://api.test" },
      },
      routes: [
        { path: "/tasks", auth: { by: ["people", "programs"], scopes: ["tasks:read"] } },
        { path: "/write", auth: { by: ["programs"], scopes: ["tasks:write"] } },
        { path: "/pay", auth: { by: ["programs"], maxAgeSeconds: 300 } },
        { path: "/people", auth: { by: ["people"] } },
        { path: "/open" },
        { path: "/live", auth: { by: ["programs"] }, websocket: {} },
      ],
    }),
  );
  const owned = parts.move();
  const ask = (target: string, ...fields: string[]) =>
    gateway.ask(get(target, [...fields, "Connection: close"]));
  return {
    path,
    writer,
    key,
    provider,
    upstream,
    gateway,
    ask,
    status: async (...call: Parameters<typeof ask>) => (await ask(...call)).status,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

describe("API keys at the gateway", () => {
  test("are refused in all ways but theirs, and upstreams see none", async () => {
    await using t = await setUp();
    const bearer = `Authorization: Bearer ${t.key}`;
    const field = `X-Api-Key: ${t.key}`;
    const token = `Authorization: Bearer ${await t.provider.mint({ scope: "tasks:read" })}`;
    assert.equal(await t.status("/tasks"), 401);
    assert.equal(await t.status("/tasks", "X-Api-Key: tgk_made_up"), 401);
    assert.equal(await t.status("/tasks", `Authorization: Basic ${t.key}`), 401);
    assert.equal(await t.status(`/tasks?key=${t.key}`), 401);
    assert.equal(await t.status("/people", bearer), 401);
    // A field that this route does not know is no credential.
    assert.equal(await t.status("/people", field), 401);
    assert.equal(await t.status("/people", token, field), 200);
    // Two credentials, also of the same kind.
    assert.equal(await t.status("/tasks", token, field), 400);
    assert.equal(await t.status("/tasks", bearer, field), 400);
    assert.equal(await t.status("/tasks", field, "Cookie: __Host-tidegate=x"), 400);
    assert.equal(await t.status("/tasks", field, field), 401);
    // Good, but not for this; and a program signed in at no time.
    const lacking = await t.ask("/write", bearer);
    assert.equal(lacking.status, 403);
    assert.equal(
      lacking.field("www-authenticate"),
      'Bearer realm="tidegate", error="insufficient_scope", scope="tasks:write"',
    );
    assert.equal(await t.status("/pay", bearer), 401);

    const before = t.upstream.requests.length;
    assert.equal(await t.status("/tasks", bearer), 200);
    assert.equal(await t.status("/tasks", field), 200);
    assert.equal(await t.status("/open", field, bearer), 200);
    for (const request of t.upstream.requests.slice(before)) {
      assert.deepEqual(request.values("authorization"), []);
      assert.deepEqual(request.values("x-api-key"), []);
    }
    const [assertion = ""] = t.upstream.requests[before]?.values("tidegate-assertion") ?? [];
    const claims = JSON.parse(
      Buffer.from(assertion.split(".")[1] ?? "", "base64url").toString(),
    ) as Record<string, unknown>;
    assert.equal(claims["src"], "urn:tidegate:keys:partners");
    assert.equal(claims["sub"], t.key.slice(4, 18));
    assert.equal(claims["client_id"], "billing");
    const log = JSON.stringify(await t.gateway.logged("request"));
    assert.ok(!log.includes(t.key.slice(-38)));
  });

  test("are rotated and taken away while the gateway runs, on every worker; their last use is kept", async () => {
    await using t = await setUp({ threads: 2 });
    const statuses = async (key: string) => {
      const field = `X-Api-Key: ${key}`;
      const all = await Promise.all(Array.from({ length: 6 }, () => t.status("/tasks", field)));
      return [...new Set(all)];
    };
    assert.deepEqual(await statuses(t.key), [200]);
    const second = await t.writer().rotate("billing", systemClock.wallMs());
    // A look at the file every two seconds, so asking more often would only keep the machine busy.
    const becomes = (key: string, status: number, what: string) =>
      waitFor(async () => String(await statuses(key)) === String(status), { what, everyMs: 300 });
    await becomes(t.key, 401, "the old key's end");
    await becomes(second, 200, "the new key");
    await t.writer().remove("billing");
    await becomes(second, 401, "the key's end");
    await t.gateway.loggedAtLeast("keys.reloaded", 2);
  });

  test("end what they opened when they are rotated, disabled or revoked, on every worker, and their tickets with it", async () => {
    await using t = await setUp({ threads: 2 });
    const open = async (key: string) => {
      const sockets = Array.from({ length: 6 }, () => {
        const headers = { "x-api-key": key };
        return new WsClient(`ws://localhost:${t.gateway.port}/live`, { headers });
      });
      const codes = sockets.map(async (socket) => Number((await once(socket, "close"))[0]));
      await Promise.all(sockets.map((socket) => once(socket, "open")));
      return { closed: Promise.all(codes).then((all) => new Set(all)) };
    };
    const other = await t.writer().add({ name: "other", scopes: [], expiresAtMs: undefined });
    await waitFor(async () => (await t.status("/live", `X-Api-Key: ${other}`)) !== 401, {
      what: "the other key",
      everyMs: 300,
    });
    const first = await open(t.key);
    const second = await t.writer().rotate("billing", systemClock.wallMs());
    assert.deepEqual(await first.closed, new Set([4410]));
    await waitFor(async () => (await t.status("/tasks", `X-Api-Key: ${second}`)) === 200, {
      what: "the new key",
      everyMs: 300,
    });
    const admin = (await readFile(join(t.gateway.dataFolder, "admin-token"), "utf8")).trim();
    const id = t.key.slice(4, 18);
    const answer = await fetch(
      new URL(`/revocations?issuer=programs&token=${id}`, t.gateway.adminUrl),
      { method: "POST", headers: { authorization: `Bearer ${admin}` } },
    );
    assert.equal(answer.status, 200, await answer.text());
    assert.equal(await t.status("/tasks", `X-Api-Key: ${second}`), 401);
    const ticket = await t.gateway.ask(
      `POST /.tidegate/tickets HTTP/1.1\r\nHost: localhost:${t.gateway.port}\r\nX-Api-Key: ${other}\r\nContent-Type: application/json\r\nContent-Length: 16\r\nConnection: close\r\n\r\n{"path":"/live"}`,
    );
    assert.equal(ticket.status, 200, ticket.body.toString());
    const shown = (JSON.parse(ticket.body.toString()) as { ticket: string }).ticket;
    const others = await open(other);
    await t.writer().setDisabled("other", true);
    assert.deepEqual(await others.closed, new Set([4410]));
    const late = new WsClient(`ws://localhost:${t.gateway.port}/live?tidegate_ticket=${shown}`);
    const [response] = (await once(late, "unexpected-response").then(([, one]) => [one])) as [
      { statusCode: number },
    ];
    assert.equal(response.statusCode, 401);
  });

  test("are used, and that is written down when the gateway stops at the latest", async () => {
    let path = "";
    {
      await using t = await setUp();
      path = t.path;
      assert.equal(await t.status("/tasks", `X-Api-Key: ${t.key}`), 200);
      await t.gateway.gateway.stop("test");
      const uses = [...(await readKeyUses(path))];
      assert.equal(uses.length, 1);
      assert.equal(uses[0]?.[0], t.key.slice(4, 18));
      assert.ok(!(await readFile(`${path}.uses`, "utf8")).includes(t.key));
    }
  });
});

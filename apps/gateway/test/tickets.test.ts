// One-time tickets: a page fetches one with its credential and opens a socket with it, and nothing else can be done with it.

import assert from "node:assert/strict";
import { once } from "node:events";
import { describe, test } from "node:test";
import { issuer, startUpstream } from "@tidegate/testkit";
import { WebSocket as WsClient } from "ws";
import { startGateway } from "./http-harness.ts";

const AUDIENCE = "https://api.test";
const PAGE = "https://app.test";

async function open(threads: number) {
  await using parts = new AsyncDisposableStack();
  const people = parts.use(await issuer());
  const upstream = parts.use(await startUpstream());
  const cors = { origins: [PAGE] };
  const gateway = parts.use(
    await startGateway({
      targets: [upstream.url],
      threads,
      routes: [
        {
          path: "/live",
          auth: { by: ["people"] },
          // Pages are shown the status too, as programs are.
          websocket: { handshakeRefusal: "status" },
          origins: [PAGE],
          cors,
        },
        { path: "/other", auth: { by: ["people"] }, websocket: {}, origins: [PAGE] },
        { path: "/write", auth: { by: ["people"], scopes: ["write"] }, websocket: {} },
        { path: "/open", websocket: {} },
        { path: "/**", auth: { by: ["people"] } },
      ],
      identity: { people: { kind: "oidc", issuer: people.url, audience: AUDIENCE } },
    }),
  );
  const base = `localhost:${gateway.port}`;
  const owned = parts.move();
  const ask = (body: string, fields: Record<string, string> = {}, method = "POST") =>
    fetch(`http://${base}/.tidegate/tickets`, {
      method,
      headers: { "content-type": "application/json", ...fields },
      ...(method === "OPTIONS" ? {} : { body }),
    });
  const mint = async (
    path = "/live",
    { token, ...fields }: Record<string, string> = {},
  ): Promise<{ ticket: string; connectionId: string; expiresInSeconds: number }> => {
    const bearer = `Bearer ${token ?? (await people.mint())}`;
    const answer = await ask(JSON.stringify({ path }), { authorization: bearer, ...fields });
    assert.equal(answer.status, 200, await answer.clone().text());
    assert.equal(answer.headers.get("cache-control"), "no-store");
    return (await answer.json()) as Awaited<ReturnType<typeof mint>>;
  };
  /** `open`, or the status of the refusal. */
  const knock = async (
    target: string,
    { protocols = [], origin }: { protocols?: string[]; origin?: string } = {},
  ): Promise<{ socket?: WsClient; status?: number; connection?: string }> => {
    const page = origin === undefined ? {} : { origin };
    const socket = new WsClient(`ws://${base}${target}`, protocols, page);
    const { promise, resolve } = Promise.withResolvers<Awaited<ReturnType<typeof knock>>>();
    let connection = "";
    socket.on("upgrade", ({ headers }) => (connection = String(headers["tidegate-connection"])));
    socket.on("error", () => undefined);
    socket.on("open", () => resolve({ socket, connection }));
    socket.on("unexpected-response", (_, { statusCode = 0 }) => {
      resolve({ status: statusCode });
      socket.terminate();
    });
    return promise;
  };
  return {
    people,
    upstream,
    gateway,
    ask,
    mint,
    knock,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

for (const threads of [0, 2]) {
  describe(`tickets over ${threads} workers`, () => {
    test("open one socket, in query or subprotocol, and the service never sees them", async () => {
      await using t = await open(threads);
      const byQuery = await t.mint();
      assert.equal(byQuery.expiresInSeconds, 30);
      const first = await t.knock(`/live?a=1&tidegate_ticket=${byQuery.ticket}`);
      assert.equal(first.connection, byQuery.connectionId);
      first.socket?.send("hello");
      const [echo] = await once(first.socket as WsClient, "message");
      assert.equal(String(echo), "hello");
      const byProtocol = await t.mint();
      const second = await t.knock("/live", {
        protocols: ["chat", `tidegate.ticket.${byProtocol.ticket}`],
      });
      assert.equal(second.socket?.protocol, "chat");
      const [one, two] = t.upstream.requests;
      assert.equal(one?.target, "/live?a=1");
      assert.deepEqual(two?.values("sec-websocket-protocol"), ["chat"]);
      assert.equal(one?.values("tidegate-assertion").length, 1);
      for (const { ticket } of [byQuery, byProtocol]) {
        assert.doesNotMatch(
          JSON.stringify(t.upstream.requests.map(({ fields }) => fields)),
          new RegExp(ticket),
        );
        assert.equal((await t.knock(`/live?tidegate_ticket=${ticket}`)).status, 401);
      }
      first.socket?.terminate();
      second.socket?.terminate();
      const lines = JSON.stringify([
        ...(await t.gateway.loggedAtLeast("socket.ended", 2)),
        ...(await t.gateway.logged("request")),
      ]);
      assert.ok(!lines.includes(byQuery.ticket) && !lines.includes(byProtocol.ticket));
    });

    test("shown twenty times at once let one in", async () => {
      await using t = await open(threads);
      const { ticket } = await t.mint();
      const tried = await Promise.all(
        Array.from({ length: 20 }, () => t.knock(`/live?tidegate_ticket=${ticket}`)),
      );
      assert.equal(tried.filter(({ socket }) => socket !== undefined).length, 1);
      assert.equal(tried.filter(({ status }) => status === 401).length, 19);
      for (const { socket } of tried) socket?.terminate();
    });

    test("are good for their own path and origin only, and for no request", async () => {
      await using t = await open(threads);
      const shown = async (
        target: string,
        origin?: string,
        minted: Record<string, string> = {},
      ) => {
        const { ticket } = await t.mint("/live", minted);
        const page = origin === undefined ? {} : { origin };
        const { status, socket } = await t.knock(`${target}?tidegate_ticket=${ticket}`, page);
        socket?.terminate();
        return status ?? 101;
      };
      assert.equal(await shown("/other"), 401);
      assert.equal(await shown("/live", PAGE), 401, "minted by a program, shown by a page");
      assert.equal(await shown("/live", undefined, { origin: PAGE }), 401);
      assert.equal(await shown("/live", "https://evil.test", { origin: PAGE }), 403);
      assert.equal(await shown("/live", PAGE, { origin: PAGE }), 101);
      const { ticket } = await t.mint();
      const asRequest = await fetch(
        `http://localhost:${t.gateway.port}/x?tidegate_ticket=${ticket}`,
      );
      assert.equal(asRequest.status, 401);
      const both = await t.knock(`/live?tidegate_ticket=${ticket}`, {
        protocols: ["chat", `tidegate.ticket.${ticket}`],
      });
      assert.equal(both.status, 400);
    });

    test("are not for who was revoked after minting, nor is the socket they opened", async () => {
      await using t = await open(threads);
      const used = await t.mint();
      const kept = await t.mint();
      const { socket } = await t.knock(`/live?tidegate_ticket=${used.ticket}`);
      const closed = once(socket as WsClient, "close");
      const revoked = await fetch(
        new URL("/revocations?issuer=people&subject=ada", t.gateway.adminUrl),
        { method: "POST", headers: { authorization: `Bearer ${await t.gateway.adminToken()}` } },
      );
      assert.equal(revoked.status, 200);
      assert.equal((await closed)[0], 4410);
      assert.equal((await t.knock(`/live?tidegate_ticket=${kept.ticket}`)).status, 401);
    });
  });
}

describe("POST /.tidegate/tickets", () => {
  test("asks for the credential, scope and site that the socket itself asks for", async () => {
    await using t = await open(0);
    const live = JSON.stringify({ path: "/live" });
    const token = `Bearer ${await t.people.mint()}`;
    const asked = async (body: string, fields: Record<string, string>) => {
      const answer = await t.ask(body, fields);
      const type = answer.headers.get("content-type");
      assert.equal(type, "application/problem+json");
      return answer.status;
    };
    assert.equal(await asked(live, {}), 401);
    assert.equal(await asked(live, { authorization: "Bearer x" }), 401);
    const lacking = await t.ask(JSON.stringify({ path: "/write" }), { authorization: token });
    assert.equal(lacking.status, 403);
    assert.match(lacking.headers.get("www-authenticate") ?? "", /scope="write"/);
    const lines = await t.gateway.loggedAtLeast("request", 3);
    assert.deepEqual(
      lines.map(({ verdict, status }) => [verdict, status]),
      [
        ["challenge", 401],
        ["challenge", 401],
        ["forbid", 403],
      ],
    );
    for (const body of [
      "",
      "x",
      "[]",
      "{}",
      '{"path":7}',
      '{"path":"live"}',
      '{"path":"/../live"}',
      '{"path":"/%"}',
      '{"path":"/open"}',
    ])
      assert.equal(await asked(body, { authorization: token }), 400, body);
    assert.equal(await asked(live, { authorization: token, "content-type": "text/plain" }), 400);
    assert.equal(await asked(JSON.stringify({ path: "/x" }), { authorization: token }), 404);
    assert.equal(await asked(`{"path":"/${"x".repeat(9_000)}"}`, { authorization: token }), 400);
  });

  test("gives one person ten at once", async () => {
    await using t = await open(0);
    const token = await t.people.mint();
    for (let count = 0; count < 10; count++) await t.mint("/live", { token });
    const answer = await t.ask(JSON.stringify({ path: "/live" }), {
      authorization: `Bearer ${token}`,
    });
    assert.equal(answer.status, 429);
    assert.ok(Number(answer.headers.get("retry-after")) >= 1);
    await t.mint("/live", { token: await t.people.mint({ sub: "grace" }) });
  });

  test("lets pages ask whose origin a socket lets in, and no others", async () => {
    await using t = await open(0);
    const preflight = (origin: string) =>
      t.ask("", { origin, "access-control-request-method": "POST" }, "OPTIONS");
    const allowed = await preflight(PAGE);
    assert.equal(allowed.status, 204);
    assert.equal(allowed.headers.get("access-control-allow-origin"), PAGE);
    assert.match(allowed.headers.get("access-control-allow-headers") ?? "", /Authorization/);
    const refused = await preflight("https://evil.test");
    assert.equal(refused.status, 403);
    assert.equal(refused.headers.get("access-control-allow-origin"), null);
  });
});

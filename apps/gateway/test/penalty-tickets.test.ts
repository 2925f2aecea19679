// The penalty box and tickets that were minted before it: nobody comes in by what they fetched while they still might.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { issuer, startUpstream } from "@tidegate/testkit";
import { WebSocket as WsClient } from "ws";
import { get, startGateway } from "./http-harness.ts";

async function setUp(threads: number) {
  await using parts = new AsyncDisposableStack();
  const people = parts.use(await issuer({ algorithms: ["ES256"] }));
  const upstream = parts.use(await startUpstream());
  const auth = { by: ["people"] };
  const gateway = parts.use(
    await startGateway({
      targets: [upstream.url],
      threads,
      penalty: {},
      identity: { people: { kind: "oidc", issuer: people.url, audience: "https://api.test" } },
      routes: [
        { path: "/live", auth, websocket: {} },
        {
          path: "/rest",
          auth,
          limits: [{ kind: "window", limit: 1, seconds: 600, per: "user" }],
        },
      ],
    }),
  );
  const base = `localhost:${gateway.port}`;
  const owned = parts.move();
  return {
    gateway,
    upstream,
    bearer: async (sub: string): Promise<string> =>
      `Bearer ${await people.mint({ sub, auth_time: Math.floor(Date.now() / 1_000) - 60 })}`,
    async mint(authorization: string): Promise<{ status: number; ticket: string }> {
      const answer = await fetch(`http://${base}/.tidegate/tickets`, {
        method: "POST",
        headers: { "content-type": "application/json", authorization },
        body: JSON.stringify({ path: "/live" }),
      });
      const { ticket = "" } = (await answer.json()) as { ticket?: string };
      return { status: answer.status, ticket };
    },
    /** What a handshake with the ticket is answered with. */
    async knock(ticket: string): Promise<{ status: number; problem: Record<string, unknown> }> {
      const socket = new WsClient(`ws://${base}/live?tidegate_ticket=${ticket}`);
      socket.on("error", () => undefined);
      const { promise, resolve } = Promise.withResolvers<{ status: number; text: string }>();
      socket.on("open", () => resolve({ status: 101, text: "{}" }));
      socket.on("unexpected-response", (_, answer) => {
        let text = "";
        answer.on("data", (chunk: Buffer) => (text += chunk.toString()));
        answer.on("end", () => resolve({ status: answer.statusCode ?? 0, text }));
      });
      const { status, text } = await promise;
      socket.terminate();
      return { status, problem: JSON.parse(text) as Record<string, unknown> };
    },
    /** One call is served; 30 over the limit are no strike yet; the next is. */
    async box(authorization: string): Promise<void> {
      for (let calls = 0; calls < 32; calls++)
        await gateway.ask(get("/rest", [`Authorization: ${authorization}`, "Connection: close"]));
      await gateway.loggedAtLeast("penalty.began", 1);
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

for (const threads of [0, 2]) {
  describe(`tickets and the penalty box over ${threads} workers`, () => {
    test("a ticket from before the box opens nothing in it, on whatever worker", async () => {
      await using t = await setUp(threads);
      const ada = await t.bearer("ada");
      const minted = await Promise.all(Array.from({ length: 6 }, () => t.mint(ada)));
      const [open, ...shut] = minted.map(({ ticket }) => ticket);
      const { ticket: others } = await t.mint(await t.bearer("grace"));
      // What is refused below is refused for the box alone.
      assert.equal((await t.knock(open ?? "")).status, 101);
      const before = t.upstream.requests.length;
      await t.box(ada);
      const served = t.upstream.requests.length;
      assert.ok(served > before);

      for (const ticket of shut) {
        const { status, problem } = await t.knock(ticket);
        assert.equal(status, 429);
        assert.equal(problem["strikes"], 1);
        assert.equal(problem["reauthenticationRequired"], true);
        // Shown is used: it does not wait for the box to open.
        assert.equal((await t.knock(ticket)).status, 401);
      }
      assert.equal(t.upstream.requests.length, served, "the service heard of none of them");
      assert.equal((await t.mint(ada)).status, 429);
      // A newer token of the same sign-in is the same person.
      assert.equal((await t.mint(await t.bearer("ada"))).status, 429);
      assert.equal((await t.knock(others)).status, 101);
    });
  });
}

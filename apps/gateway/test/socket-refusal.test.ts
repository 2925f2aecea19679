// How a page learns that its handshake was refused: accepted, and closed at once with code and reason.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { waitFor } from "@tidegate/testkit";
import { toAcceptValue } from "@tidegate/wire";
import { fastClock, type GatewayUnderTest } from "./http-harness.ts";
import {
  assertTold,
  isTold,
  meet,
  setUp,
  stay,
  type Fields,
  type Told,
} from "./refusal-harness.ts";
import { CLIENT_KEY } from "./socket-harness.ts";

const metricsOf = async (gateway: GatewayUnderTest): Promise<string> => {
  const answer = await fetch(`${gateway.adminUrl}/metrics`, {
    headers: { authorization: `Bearer ${await gateway.adminToken()}` },
  });
  assert.equal(answer.status, 200);
  return answer.text();
};

for (const threads of [0, 2]) {
  describe(`a page's refused handshake, with ${threads} workers`, () => {
    test("is accepted and closed with the reason, once per caller; then comes the status", async () => {
      await using t = await setUp({ threads });
      const { port } = t.gateway;
      const { Origin } = t;
      // A loop may meet each worker.
      const workers = Math.max(1, threads);
      const loop = async (fields: Fields, code: number, status: number): Promise<void> => {
        const met: (number | Told)[] = [];
        for (let count = 0; count < 12; count++) met.push(await meet(port, { Origin, ...fields }));
        assertTold(met[0]!, code, /^(?:credential|forbidden)$/);
        assert.ok(met[0].head.includes(`Sec-WebSocket-Accept: ${toAcceptValue(CLIENT_KEY)}\r\n`));
        assert.doesNotMatch(met[0].head, /sec-websocket-(?:protocol|extensions)/i);
        assert.ok(met.filter(isTold).length <= workers);
        assert.ok(met.every((one) => isTold(one) || one === status));
      };
      await loop({}, 4401, 401);
      await loop(await t.as("ada", "other"), 4403, 403);
      await loop(await t.as("grace", "other"), 4403, 403);
      assert.equal(t.upstream.server.sockets.length, 0);
    });

    test("is told always with `close`, from every allowed origin", async () => {
      await using t = await setUp({ threads, websocket: { handshakeRefusal: "close" } });
      for (const Origin of [t.Origin, "https://other.example", t.Origin])
        assertTold(await meet(t.gateway.port, { Origin }), 4401, "credential");
    });

    test("that the service refuses is told by the code of its status", async () => {
      const cases: readonly (readonly [string, number, string])[] = [
        ["401 Unauthorized", 4401, "credential"],
        ["403 Forbidden", 4403, "forbidden"],
        ["404 Not Found", 4404, "gone"],
        ["410 Gone", 4404, "gone"],
        ["429 No\r\nRetry-After: 17", 4429, "limit;retryAfter=17;reauthenticate=0"],
        ["429 No", 4429, "limit;retryAfter=5;reauthenticate=0"],
        [`503 No\r\nRetry-After: ${"9".repeat(300)}`, 4503, "shedding;retryAfter=86400"],
      ];
      let said = "";
      await using t = await setUp({
        threads,
        answer: () => `HTTP/1.1 ${said}\r\nContent-Length: 5\r\nSet-Cookie: a=b\r\n\r\nsorry`,
        websocket: { handshakeRefusal: "close" },
      });
      const { port } = t.gateway;
      const { Origin } = t;
      const ada = await t.as("ada");
      for (const [answer, code, reason] of cases) {
        said = answer;
        const met = await meet(port, { Origin, ...ada });
        assertTold(met, code, reason);
        assert.doesNotMatch(met.head, /set-cookie/i);
        assert.equal(await meet(port, ada), Number(answer.slice(0, 3)));
      }
      for (const answer of ["400 No", "426 No", "500 No", "302 Found\r\nLocation: /"]) {
        said = answer;
        assert.equal(await meet(port, { Origin, ...ada }), Number(answer.slice(0, 3)));
      }
      const lines = await t.gateway.loggedAtLeast("request", 18);
      const closed = lines.filter((line) => line["closeCode"] !== undefined);
      // Lines of two workers come in any order.
      assert.deepEqual(
        closed
          .map(({ status, verdict, closeCode }) => JSON.stringify([status, verdict, closeCode]))
          .toSorted(),
        cases
          .map(([answer, code]) => JSON.stringify([Number(answer.slice(0, 3)), "admit", code]))
          .toSorted(),
      );
    });
  });
}

describe("a handshake that is told by a close code", () => {
  test("speaks of limits and of the penalty box", async () => {
    await using t = await setUp({
      penalty: {},
      routes: [
        {
          path: "/live",
          auth: { by: ["people"] },
          limits: [{ kind: "window", limit: 1, seconds: 60, per: "user" }],
          websocket: { handshakeRefusal: "close" },
        },
      ],
    });
    const { port } = t.gateway;
    const { Origin } = t;
    const ada = await t.as("ada");
    await using first = await stay(port, { Origin, ...ada });
    assert.equal(first.status, 101);
    let met = await meet(port, { Origin, ...ada });
    assertTold(met, 4429, /^limit;retryAfter=(?:[1-9]|[1-5]\d|60);reauthenticate=0$/);
    for (let count = 0; count < 31; count++) met = await meet(port, { Origin, ...ada });
    // Rounded up twice, so that nobody who listens comes back too early.
    assertTold(met, 4429, /^penalty;retryAfter=(?:2\d|30|31);reauthenticate=1$/);
  });

  test("has codes of RFC 6455 alone in the standard profile", async () => {
    await using t = await setUp({
      websocket: { handshakeRefusal: "close", closeProfile: "standard" },
      answer: () => "HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n",
    });
    const { port } = t.gateway;
    const { Origin } = t;
    assertTold(await meet(port, { Origin }), 1008, "credential");
    const met = await meet(port, { Origin, ...(await t.as("ada")) });
    assertTold(met, 1013, "shedding;retryAfter=5");
  });

  test("chooses the first subprotocol that is no credential, and no extension", async () => {
    await using t = await setUp({ websocket: { handshakeRefusal: "close" } });
    const { port } = t.gateway;
    const choose = async (offered: string): Promise<string | undefined> => {
      const met = await meet(port, {
        Origin: t.Origin,
        "Sec-WebSocket-Protocol": offered,
        "Sec-WebSocket-Extensions": "permessage-deflate",
      });
      assertTold(met, 4401, "credential");
      assert.doesNotMatch(met.head, /tidegate\.ticket|extensions/i);
      return /Sec-WebSocket-Protocol: (.*)\r\n/.exec(met.head)?.[1];
    };
    assert.equal(await choose("tidegate.ticket.abc, chat, v2"), "chat");
    assert.equal(await choose("v2, tidegate.ticket.abc"), "v2");
    assert.equal(await choose("tidegate.ticket.abc"), undefined);
  });

  test("is told again when 60 s have passed", async () => {
    await using t = await setUp({ clock: fastClock(20) });
    const { port } = t.gateway;
    const { Origin } = t;
    const startedMs = performance.now();
    assertTold(await meet(port, { Origin }), 4401, "credential");
    assert.equal(await meet(port, { Origin }), 401);
    await waitFor(async () => isTold(await meet(port, { Origin })), { what: "the code again" });
    assert.ok(performance.now() - startedMs >= 3_000);
  });

  test("is written down and counted as what it was: refused, and how it was told", async () => {
    await using t = await setUp();
    const { gateway, Origin } = t;
    const met = await meet(gateway.port, { Origin });
    assertTold(met, 4401, "credential");
    await meet(gateway.port, { Origin });
    const told = {
      kind: "handshake",
      status: 401,
      verdict: "challenge",
      reason: "credential-missing",
    };
    const lines = await gateway.loggedAtLeast("request", 2);
    assert.deepEqual(
      lines.map(({ kind, status, verdict, reason, closeCode }) => ({
        kind,
        status,
        verdict,
        reason,
        closeCode,
      })),
      [
        { ...told, closeCode: 4401 },
        { ...told, closeCode: undefined },
      ],
    );
    assert.ok(met.head.includes(`X-Request-Id: ${String(lines[0]!["requestId"])}\r\n`));
    const metrics = await metricsOf(gateway);
    assert.match(
      metrics,
      /^tidegate_requests_total\{.*kind="handshake",status="4xx",verdict="challenge",reason="credential-missing"\} 2$/m,
    );
    assert.match(metrics, /^tidegate_handshakes_closed_total\{route=".*",code="4401"\} 1$/m);
    assert.doesNotMatch(metrics, /^tidegate_sockets_(?:opened|ended)_total\{/m);
    assert.deepEqual(await gateway.logged("socket.ended"), []);
  });
});

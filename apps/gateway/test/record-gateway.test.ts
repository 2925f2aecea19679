// What the whole gateway records of what passes: lines, metrics, ids, and what must be in none of them.

import assert from "node:assert/strict";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { startUpstream, waitFor } from "@tidegate/testkit";
import { WebSocket } from "ws";
import { get, requestBytes, startGateway, type GatewayUnderTest } from "./http-harness.ts";

async function metricsOf(gateway: GatewayUnderTest): Promise<string> {
  const token = (await readFile(join(gateway.dataFolder, "admin-token"), "utf8")).trim();
  const answer = await fetch(`${gateway.adminUrl}/metrics`, {
    headers: { authorization: `Bearer ${token}` },
  });
  assert.equal(answer.status, 200);
  return await answer.text();
}

test("no line and no metric shows a token, a body, a query or the path that was sent", async () => {
  await using upstream = await startUpstream();
  await using gateway = await startGateway({
    targets: [upstream.url],
    routes: [{ path: "/people/*" }],
  });
  const fields = [
    "Authorization: Bearer SECRET-token",
    "Cookie: session=SECRET-cookie",
    "X-Request-Id: SECRET-forged-id",
    "User-Agent: SECRET-agent",
    "Content-Length: 11",
  ];
  const line = "POST /people/SECRET-name?key=SECRET-query HTTP/1.1";
  assert.equal((await gateway.ask(requestBytes(line, fields, "SECRET-body"))).status, 200);
  assert.equal((await gateway.ask(get("/SECRET-unknown?x=SECRET"))).status, 404);
  assert.equal((await gateway.ask(get("/people/%2FSECRET"))).status, 400);
  const lines = await gateway.loggedAtLeast("request", 3);
  const text = JSON.stringify(lines) + (await metricsOf(gateway));
  assert.ok(!text.includes("SECRET"), text);
  assert.match(String(lines[0]?.["routeId"]), /\/people\/\*/);
  assert.equal(lines[0]?.["requestBytes"], 11);
});

test("one id is in the answer, the problem, the log and at the upstream, and a stranger does not choose it", async () => {
  await using upstream = await startUpstream();
  await using gateway = await startGateway({
    targets: [upstream.url],
    routes: [{ path: "/here" }],
  });
  const mine = "chosen-by-a-stranger";
  const answer = await gateway.ask(get("/here", [`X-Request-Id: ${mine}`]));
  const id = answer.field("x-request-id") ?? "";
  assert.match(id, /^[0-9a-f]{32}$/);
  assert.deepEqual((await upstream.requestAt(0)).values("x-request-id"), [id]);
  const refused = await gateway.ask(get("/nowhere"));
  const lines = await gateway.loggedAtLeast("request", 2);
  assert.equal(lines[0]?.["requestId"], id);
  assert.equal(lines[1]?.["requestId"], refused.field("x-request-id"));
  assert.ok(refused.body.includes(String(lines[1]?.["requestId"])));
});

test("a trusted proxy's request id is kept", async () => {
  await using upstream = await startUpstream();
  await using gateway = await startGateway({
    targets: [upstream.url],
    listen: { trustedProxies: ["127.0.0.0/8"] },
  });
  const answer = await gateway.ask(get("/", ["X-Request-Id: from-the-proxy.1"]));
  assert.equal(answer.field("x-request-id"), "from-the-proxy.1");
  const [line] = await gateway.loggedAtLeast("request", 1);
  assert.equal(line?.["requestId"], "from-the-proxy.1");
});

test("a trace goes on under a parent of the gateway's own, and an invalid one is begun anew without its state", async () => {
  await using upstream = await startUpstream();
  await using gateway = await startGateway({ targets: [upstream.url] });
  const trace = "4bf92f3577b34da6a3ce929d0e0e4736";
  const parent = "00f067aa0ba902b7";
  await gateway.ask(get("/", [`traceparent: 00-${trace}-${parent}-01`, "tracestate: a=1"]));
  await gateway.ask(
    get("/", [`traceparent: 00-${"0".repeat(32)}-${parent}-01`, "tracestate: a=1"]),
  );
  const double = `traceparent: 00-${trace}-${parent}-01`;
  await gateway.ask(get("/", [double, double]));
  const [goesOn, invalid, twice] = await Promise.all(
    [0, 1, 2].map((index) => upstream.requestAt(index)),
  );
  const [field = ""] = goesOn?.values("traceparent") ?? [];
  assert.match(field, new RegExp(`^00-${trace}-(?!${parent})[0-9a-f]{16}-01$`));
  assert.deepEqual(goesOn?.values("tracestate"), ["a=1"]);
  for (const begun of [invalid, twice]) {
    const values = begun?.values("traceparent") ?? [];
    assert.equal(values.length, 1);
    assert.match(
      values[0] ?? "",
      new RegExp(`^00-(?!${trace}|0{32})[0-9a-f]{32}-[0-9a-f]{16}-00$`),
    );
  }
  assert.deepEqual(invalid?.values("tracestate"), []);
  const lines = await gateway.loggedAtLeast("request", 3);
  assert.equal(lines[0]?.["traceId"], trace);
});

test("metrics tell requests, refusals by limit, messages by class, and sockets", async () => {
  await using upstream = await startUpstream();
  await using gateway = await startGateway({
    targets: [upstream.url],
    routes: [
      {
        path: "/narrow",
        limits: [{ kind: "window", limit: 1, seconds: 60, per: "route", name: "one-a-minute" }],
      },
      {
        path: "/live",
        websocket: {
          limits: [
            {
              kind: "window",
              limit: 3,
              seconds: 60,
              class: "text",
              exceed: "drop",
              name: "three-texts",
            },
          ],
        },
      },
    ],
  });
  assert.equal((await gateway.ask(get("/narrow"))).status, 200);
  assert.equal((await gateway.ask(get("/narrow"))).status, 429);
  const socket = new WebSocket(`ws://127.0.0.1:${gateway.port}/live`);
  await once(socket, "open");
  for (let count = 0; count < 5; count += 1) socket.send("x");
  socket.send(Buffer.from([1, 2]));
  await once(socket, "message");

  const page = await waitFor(
    async () => {
      const text = await metricsOf(gateway);
      return /tidegate_messages_total\{.*class="binary"/.test(text) && text;
    },
    { what: "the binary message to be counted" },
  );
  assert.match(page, /^tidegate_sockets_open\{route="[^"]*\/live"\} 1$/m);
  assert.match(page, /^tidegate_requests_total\{.*status="4xx",verdict="throttle".*\} 1$/m);
  assert.match(page, /^tidegate_limit_refusals_total\{.*limit="one-a-minute"\} 1$/m);
  assert.match(page, /^tidegate_limit_refusals_total\{.*limit="three-texts"\} 2$/m);
  const texts = 'towards="upstream",class="text"';
  assert.match(
    page,
    new RegExp(`^tidegate_messages_total\\{.*${texts},verdict="admit"\\} 3$`, "m"),
  );
  assert.match(
    page,
    new RegExp(`^tidegate_messages_total\\{.*${texts},verdict="throttle"\\} 2$`, "m"),
  );

  socket.close(1000);
  await once(socket, "close");
  const [line] = await gateway.loggedAtLeast("socket.ended", 1);
  assert.equal(line?.["closeCode"], 1000);
  assert.equal(line?.["endedBy"], "client");
  const messages = line?.["messages"];
  assert.ok(typeof messages === "object" && messages !== null && "upstream" in messages);
  assert.match(
    await metricsOf(gateway),
    /^tidegate_sockets_ended_total\{.*code="1000",by="client"\} 1$/m,
  );
});

test("an upstream that cannot be reached is a warning, and its detail is in the log alone", async () => {
  await using upstream = await startUpstream();
  await using gateway = await startGateway({ targets: [upstream.url] });
  await upstream.crash();
  const answer = await gateway.ask(get("/"));
  assert.equal(answer.status, 502);
  const [line] = await gateway.loggedAtLeast("request", 1);
  assert.equal(line?.["level"], "warn");
  assert.equal(line?.["fault"], "upstream_unreachable");
  assert.ok(!answer.body.includes(String(upstream.port)));
  assert.match(
    await metricsOf(gateway),
    /^tidegate_faults_total\{.*side="upstream",fault="upstream_unreachable"\} 1$/m,
  );
});

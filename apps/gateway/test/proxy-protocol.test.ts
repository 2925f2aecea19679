// A balancer in front that says with the PROXY protocol whose a connection is.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { readAnswer, startUpstream } from "@tidegate/testkit";
import { get, startGateway } from "./http-harness.ts";

const HEADER = "PROXY TCP4 192.0.2.7 10.0.0.1 4711 80\r\n";

describe("PROXY protocol", () => {
  test("the caller is whom the balancer names, for limits and for the upstream", async () => {
    await using upstream = await startUpstream();
    await using gateway = await startGateway({
      targets: [upstream.url],
      listen: { proxyProtocol: true, trustedProxies: ["127.0.0.0/8"] },
      routes: [
        { path: "/**", limits: [{ kind: "window", limit: 1, seconds: 600, per: "address" }] },
      ],
    });
    await using client = await gateway.connect();
    // Byte by byte, and the request in the same breath as the header's end.
    for (const byte of HEADER.slice(0, -1)) await client.write(byte);
    await client.write(`\n${get("/")}`);
    assert.equal((await readAnswer(client)).status, 200);
    const request = await upstream.requestAt(0);
    assert.deepEqual(request.values("x-forwarded-for"), ["192.0.2.7"]);
    assert.equal((await gateway.ask(`${HEADER}${get("/")}`)).status, 429);
    const other = HEADER.replace("192.0.2.7", "192.0.2.8");
    assert.equal((await gateway.ask(`${other}${get("/")}`)).status, 200);
  });

  test("a connection without the header, or of a stranger, is ended without an answer", async () => {
    await using upstream = await startUpstream();
    for (const trustedProxies of [["127.0.0.0/8"], ["10.0.0.0/8"]]) {
      await using gateway = await startGateway({
        targets: [upstream.url],
        listen: { proxyProtocol: true, trustedProxies },
      });
      await using client = await gateway.connect();
      const isStranger = trustedProxies[0] === "10.0.0.0/8";
      await client.write(isStranger ? `${HEADER}${get("/")}` : get("/")).catch(() => undefined);
      await client.ended();
    }
    assert.equal(upstream.requests.length, 0);
  });

  test("a connection that has not said whose it is ends when the gateway stops, not when its time is up", async () => {
    await using upstream = await startUpstream();
    const gateway = await startGateway({
      targets: [upstream.url],
      listen: { proxyProtocol: true, trustedProxies: ["127.0.0.0/8"], headerTimeoutMs: 60_000 },
    });
    await using client = await gateway.connect();
    await client.write(HEADER.slice(0, 9));
    // Accepted after it, so that one was accepted too.
    assert.equal((await gateway.ask(`${HEADER}${get("/")}`)).status, 200);
    await gateway[Symbol.asyncDispose]();
    await client.ended({ deadlineMs: 2_000 });
  });
});

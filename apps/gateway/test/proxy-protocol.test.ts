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
});

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { inspectRequest } from "../accept/inspect-request.ts";
import type { RequestHead } from "../accept/request-head.ts";
import { buildUpstreamHead, type ForwardedFacts } from "./upstream-head.ts";

const peer = { address: "192.0.2.1", network: "192.0.2.1", port: 1, connectionNumber: 9 };

const factsOf = (changes: Partial<ForwardedFacts> = {}): ForwardedFacts => ({
  peer: { ...peer },
  assertion: "a.b.c",
  traceparent: "00-1-2-00",
  keepsTracestate: false,
  requestId: "id",
  viaName: "tidegate-1",
  forwardAuthorization: false,
  keyFields: new Set(),
  ...changes,
});

function headOf(fields: readonly string[], target = "/x"): RequestHead {
  const inspected = inspectRequest(
    { method: "GET", target, httpVersion: "1.1", fields, isEncrypted: false },
    { maxTargetBytes: 1_000, servedHosts: new Set(["localhost"]) },
  );
  assert.ok("head" in inspected);
  return inspected.head;
}

describe("buildUpstreamHead()", () => {
  test("strips what a stranger could write about himself, whatever its spelling, and adds our own last", () => {
    const lies = [
      ["Tidegate-Assertion", "forged"],
      ["tidegate_assertion", "forged"],
      ["X_FORWARDED_FOR", "forged"],
      ["X-Forwarded-Host", "forged"],
      ["Forwarded", "for=forged"],
      ["X-Real-IP", "forged"],
      ["Remote-User", "forged"],
      ["X-Request-Id", "forged"],
      ["Traceparent", "forged"],
      ["Authorization", "forged"],
      ["Cookie", "__Host-tidegate=forged"],
      ["Tracestate", "forged"],
      ["Keep-Alive", "forged"],
    ];
    const head = headOf(["Host", "localhost:1", "Accept", "*/*", ...lies.flat()]);
    assert.equal(
      buildUpstreamHead(head, factsOf(), ["Content-Length", "0"]),
      [
        "GET /x HTTP/1.1",
        "Host: localhost:1",
        "Accept: */*",
        "Content-Length: 0",
        'Forwarded: for=192.0.2.1;host="localhost:1";proto=http',
        "X-Forwarded-For: 192.0.2.1",
        "X-Forwarded-Host: localhost:1",
        "X-Forwarded-Proto: http",
        "Via: 1.1 tidegate-1",
        "X-Request-Id: id",
        "traceparent: 00-1-2-00",
        "Tidegate-Assertion: a.b.c",
        "\r\n",
      ].join("\r\n"),
    );
  });

  test("leaves out what Connection names, and keeps what the route lets through", () => {
    const fields = ["Host", "h.test", "Connection", "keep-alive, X-Hop", "X-Hop", "1"];
    const own = [
      "Authorization",
      "Bearer t",
      "Cookie",
      "a=1; __Host-tidegate=2",
      "Tracestate",
      "x",
    ];
    const text = buildUpstreamHead(
      headOf([...fields, ...own]),
      factsOf({ forwardAuthorization: true, keepsTracestate: true }),
      [],
    );
    assert.doesNotMatch(text, /x-hop|tidegate=2|^connection/im);
    assert.match(text, /\r\nAuthorization: Bearer t\r\nCookie: a=1\r\nTracestate: x\r\n/);
  });

  test("says of each request what it is, whatever the connection's requests before were", () => {
    // Lists are the same objects where a connection's requests have the same fields, as the parser gives them.
    const lists = [
      ["Host", "a.test", "Accept", "text/html", "Authorization", "Bearer one", "Tracestate", "x"],
      ["Host", "a.test", "Accept", "text/html", "Authorization", "Bearer two"],
      ["Host", "b.test", "Cookie", "c=1"],
    ];
    const requests = fc.array(
      fc.record({
        fields: fc.constantFrom(...lists),
        target: fc.constantFrom("/x", "/y?tidegate_ticket=t&a=b"),
        forwardAuthorization: fc.boolean(),
        keepsTracestate: fc.boolean(),
        isProxied: fc.constantFrom(undefined, true),
        requestId: fc.constantFrom("one", "two"),
      }),
      { maxLength: 12 },
    );
    fc.assert(
      fc.property(requests, (all) => {
        const direct = { ...peer };
        for (const { fields, target, isProxied, ...changes } of all) {
          const head = headOf(fields, target);
          // Every request of a proxy has a peer of its own.
          const asker = isProxied ? { ...peer, address: "2001:db8::1", isProxied } : direct;
          assert.equal(
            buildUpstreamHead(head, factsOf({ ...changes, peer: asker }), []),
            buildUpstreamHead(head, factsOf({ ...changes, peer: { ...asker } }), []),
          );
        }
      }),
    );
  });
});

// Which fields pass, in both directions: nothing that only the gateway may say can be said by somebody else.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import fc from "fast-check";
import { systemClock } from "@tidegate/clock";
import { createAssertionVerifier } from "@tidegate/auth";
import { startRawServer, startUpstream, waitFor, type Upstream } from "@tidegate/testkit";
import {
  get,
  readProblem,
  requestBytes,
  startGateway,
  type GatewayUnderTest,
} from "./http-harness.ts";

let upstream: Upstream;
let gateway: GatewayUnderTest;
before(async () => {
  upstream = await startUpstream();
  gateway = await startGateway({
    targets: [upstream.url],
    routes: [{ path: "/**" }, { path: "/keeps/**", forwardAuthorization: true }],
  });
});
after(async () => {
  await gateway[Symbol.asyncDispose]();
  await upstream[Symbol.asyncDispose]();
});

/** Sends one request and gives back what the upstream saw of it. */
async function seenUpstream(bytes: string) {
  const index = upstream.requests.length;
  const answer = await gateway.ask(bytes);
  assert.equal(answer.status, 200, answer.body.toString());
  return await upstream.requestAt(index, { isWhole: true });
}

const STRIPPED =
  `Tidegate-Assertion Tidegate-Anything X-Forwarded-For X-Forwarded-Host X-Forwarded-Proto
  X-Forwarded-User X-Forwarded-Anything Forwarded X-Real-IP True-Client-IP X-Original-URL X-Rewrite-URL
  X-HTTP-Method-Override Remote-User X-Remote-User Proxy-Authorization Keep-Alive Proxy-Connection
  Proxy-Authenticate`.split(/\s+/);

describe("towards the upstream", () => {
  test("what only the gateway may say is taken from whoever else says it, in every spelling", async () => {
    const spellings = STRIPPED.flatMap((name) => [
      name,
      name.toLowerCase(),
      name.toUpperCase(),
      name.replaceAll("-", "_"),
      name.replace("-", "_").toLowerCase(),
    ]);
    const request = await seenUpstream(
      get(
        "/x",
        spellings.map((name) => `${name}: forged`),
      ),
    );
    for (const [name, value] of request.fields)
      assert.ok(!value.includes("forged"), `${name}: ${value} reached the upstream`);
    const norm = request.fields.map(([name]) => name.toLowerCase());
    assert.ok(!norm.some((name) => name.includes("_")));
    assert.equal(norm.filter((name) => name === "tidegate-assertion").length, 1);
    assert.equal(norm.filter((name) => name === "x-forwarded-for").length, 1);
    assert.equal(norm.filter((name) => name === "forwarded").length, 1);
  });

  test("no spelling of such a name passes (property)", async () => {
    const spelled = fc
      .constantFrom(...STRIPPED.filter((name) => !/^(keep|proxy-con)/i.test(name)))
      .chain((name) =>
        fc
          .array(fc.tuple(fc.boolean(), fc.boolean()), {
            minLength: name.length,
            maxLength: name.length,
          })
          .map((flips) =>
            Array.from(name)
              .map((letter, at) => {
                const [isUpper, isLine] = flips[at] ?? [false, false];
                if (letter === "-") return isLine ? "_" : "-";
                return isUpper ? letter.toUpperCase() : letter.toLowerCase();
              })
              .join(""),
          ),
      );
    await fc.assert(
      fc.asyncProperty(fc.array(spelled, { minLength: 1, maxLength: 10 }), async (names) => {
        const request = await seenUpstream(
          get(
            "/x",
            names.map((name) => `${name}: forged`),
          ),
        );
        assert.ok(!request.fields.some(([, value]) => value === "forged"));
      }),
      { numRuns: 25 },
    );
  });

  test("fields named in Connection end here, and ordinary ones pass as they came", async () => {
    const request = await seenUpstream(
      get("/x?a=1&tidegate_ticket=secret&b=2", [
        "Connection: X-Hop, keep-alive, traceparent",
        "X-Hop: 1",
        "x-hop: 2",
        "X-Kept: 1",
        "x-kept: 2",
        "Accept: */*",
        "TE: gzip",
        "X-Bytes: \xe9\xff",
      ]),
    );
    assert.equal(request.target, "/x?a=1&b=2");
    assert.deepEqual(request.values("x-hop"), []);
    assert.deepEqual(request.values("x-kept"), ["1", "2"]);
    assert.deepEqual(request.values("accept"), ["*/*"]);
    assert.deepEqual(request.values("te"), []);
    assert.deepEqual(request.values("x-bytes"), ["\xe9\xff"]);
    assert.deepEqual(request.values("connection"), []);
    assert.equal(request.values("traceparent").length, 1);
  });

  test("our cookies are taken out and others kept; without others there is no Cookie", async () => {
    const request = await seenUpstream(
      get("/x", ["Cookie: a=1; __Host-tidegate=secret; b=2", "cookie: __host-Tidegate-flow=x;c=3"]),
    );
    const cookies = request.values("cookie").join("; ");
    assert.ok(!/tidegate/i.test(cookies));
    for (const kept of ["a=1", "b=2", "c=3"]) assert.ok(cookies.includes(kept));
    const none = await seenUpstream(get("/x", ["Cookie: __Host-tidegate=secret"]));
    assert.deepEqual(none.values("cookie"), []);
  });

  test("Authorization ends here unless the route says otherwise", async () => {
    const authorization = "Authorization: Custom abc";
    assert.deepEqual((await seenUpstream(get("/x", [authorization]))).values("authorization"), []);
    const kept = await seenUpstream(get("/keeps/x", [authorization]));
    assert.deepEqual(kept.values("authorization"), ["Custom abc"]);
  });

  test("X-Forwarded-*, Forwarded, Via and X-Request-Id say what we know", async () => {
    const request = await seenUpstream(
      get("/x", ["Host: localhost:8080", "Via: 1.0 before", "X-Request-Id: chosen-by-a-stranger"]),
    );
    assert.deepEqual(request.values("host"), ["localhost:8080"]);
    assert.deepEqual(request.values("x-forwarded-for"), ["127.0.0.1"]);
    assert.deepEqual(request.values("x-forwarded-host"), ["localhost:8080"]);
    assert.deepEqual(request.values("x-forwarded-proto"), ["http"]);
    assert.deepEqual(request.values("forwarded"), [
      'for=127.0.0.1;host="localhost:8080";proto=http',
    ]);
    assert.equal(request.values("via").length, 2);
    assert.equal(request.values("via")[0], "1.0 before");
    assert.match(String(request.values("via")[1]), /^1\.1 tidegate-[0-9a-f]{12}$/);
    assert.notDeepEqual(request.values("x-request-id"), ["chosen-by-a-stranger"]);
    assert.equal(request.values("x-request-id").length, 1);
  });

  test("traceparent goes on when it is good, and is begun when it is not or doubled", async () => {
    const id = "4bf92f3577b34da6a3ce929d0e0e4736";
    const good = `traceparent: 00-${id}-00f067aa0ba902b7-01`;
    const continued = await seenUpstream(get("/x", [good, "tracestate: a=b"]));
    assert.match(String(continued.values("traceparent")), new RegExp(`^00-${id}-[0-9a-f]{16}-01$`));
    assert.ok(!String(continued.values("traceparent")).includes("00f067aa0ba902b7"));
    assert.deepEqual(continued.values("tracestate"), ["a=b"]);
    for (const bad of [["traceparent: 00-zz-1-1"], [good, good], []]) {
      const begun = await seenUpstream(get("/x", [...bad, "tracestate: a=b"]));
      assert.match(String(begun.values("traceparent")), /^00-[0-9a-f]{32}-[0-9a-f]{16}-0[01]$/);
      assert.ok(!String(begun.values("traceparent")).includes(id));
      assert.deepEqual(begun.values("tracestate"), []);
    }
  });

  test("the assertion is verified by a service against the published keys", async () => {
    const request = await seenUpstream(get("/x"));
    const [assertion = ""] = request.values("tidegate-assertion");
    const jwksUrl = new URL(`http://127.0.0.1:${gateway.port}/.tidegate/jwks.json`);
    const issuer = gateway.url;
    using verifier = createAssertionVerifier({
      issuer,
      audience: "service",
      jwksUrl,
      clock: systemClock,
    });
    const identity = await verifier.verify(assertion, AbortSignal.timeout(5_000));
    assert.equal(JSON.stringify(identity).includes("ada"), false);
    using other = createAssertionVerifier({
      issuer,
      audience: "other",
      jwksUrl,
      clock: systemClock,
    });
    await assert.rejects(other.verify(assertion, AbortSignal.timeout(5_000)));
    const last = assertion.slice(-2) === "AA" ? "BB" : "AA";
    await assert.rejects(
      verifier.verify(assertion.slice(0, -2) + last, AbortSignal.timeout(5_000)),
    );
  });

  test("a proxy's words are believed only when it is configured, from the right, to the first stranger", async () => {
    const forwarded = [
      "X-Forwarded-For: 6.6.6.6, 203.0.113.9",
      "X-Forwarded-For: 10.0.0.7, 10.0.0.8",
      "X-Forwarded-Proto: http, https",
      "X-Request-Id: chosen-by-the-proxy",
    ];
    await using behind = await startGateway({
      targets: [upstream.url],
      listen: { trustedProxies: ["127.0.0.0/8", "10.0.0.0/8"] },
    });
    const index = upstream.requests.length;
    await behind.ask(get("/x", forwarded));
    const request = await upstream.requestAt(index, { isWhole: true });
    assert.deepEqual(request.values("x-forwarded-for"), ["203.0.113.9"]);
    assert.deepEqual(request.values("x-forwarded-proto"), ["https"]);
    assert.deepEqual(request.values("x-request-id"), ["chosen-by-the-proxy"]);
    const strange = await seenUpstream(get("/x", forwarded));
    assert.deepEqual(strange.values("x-forwarded-for"), ["127.0.0.1"]);
    assert.deepEqual(strange.values("x-forwarded-proto"), ["http"]);
  });

  test("the body is framed by us, and the head of an HTTP/1.0 request becomes HTTP/1.1", async () => {
    const old = await seenUpstream(
      requestBytes("POST /x HTTP/1.0", ["Content-Length: 3", "Connection: keep-alive"], "abc"),
    );
    assert.deepEqual([old.httpVersion, old.values("content-length")], ["1.1", ["3"]]);
    const empty = await seenUpstream(requestBytes("POST /x HTTP/1.1"));
    assert.deepEqual(empty.values("content-length"), ["0"]);
    const none = await seenUpstream(get("/x"));
    assert.deepEqual([none.values("content-length"), none.values("transfer-encoding")], [[], []]);
  });
});

describe("towards the client", () => {
  test("what only the gateway may say, and what ended upstream, is taken out of an answer", async () => {
    await using forging = await startRawServer((socket) => {
      socket.on("data", () =>
        socket.write(
          [
            "HTTP/1.1 200 OK",
            "Content-Length: 2",
            "Tidegate-Connection: forged",
            "tidegate_connection: forged",
            "Set-Cookie: __Host-tidegate=forged",
            "set-cookie: __host-tidegate-flow=forged",
            "Set-Cookie: theirs=1",
            "Connection: X-Hop, keep-alive",
            "X-Hop: forged",
            "Keep-Alive: timeout=forged",
            "Proxy-Authenticate: forged",
            "Upgrade: forged",
            "X-Request-Id: forged",
            "Via: 1.0 before",
            "X-Kept: 1",
            "X-Kept: 2",
            "",
            "ok",
          ].join("\r\n"),
        ),
      );
    });
    await using answering = await startGateway({ targets: [forging.url] });
    const answer = await answering.ask(get("/x"));
    assert.ok(!answer.head.includes("forged"), answer.head);
    const values = (name: string): string[] =>
      answer.fields.filter(([one]) => one.toLowerCase() === name).map(([, value]) => value);
    assert.deepEqual(values("set-cookie"), ["theirs=1"]);
    assert.deepEqual(values("x-kept"), ["1", "2"]);
    assert.match(String(values("via")[1]), /^1\.1 tidegate-/);
    assert.match(String(answer.field("x-request-id")), /^[0-9a-f]{32}$/);
    assert.deepEqual(values("content-length"), ["2"]);
  });

  test("our refusals carry the request id that the log has", async () => {
    const answer = await gateway.ask(get("/a;b"));
    const id = answer.field("x-request-id");
    assert.equal(readProblem(answer)["instance"], `urn:tidegate:request:${id}`);
    await waitFor(
      async () => (await gateway.logged("request")).some((line) => line["requestId"] === id),
      { what: "the log line of the refusal" },
    );
  });
});

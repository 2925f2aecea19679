// Shapes that two parsers could read in two ways, as raw bytes. Each is refused with a closed connection, and nothing
// of it, nor of what was hidden behind it, reaches the upstream.
// Longer than 400 lines: most of it is the table of shapes, which reads best in one piece.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { readAnswer, startUpstream, waitFor, type Upstream } from "@tidegate/testkit";
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
    listen: { headerTimeoutMs: 300, maxTargetBytes: 256, maxHeaderBytes: 2_048 },
    routes: [
      { path: "/**" },
      { path: "/only-get", methods: ["GET"] },
      { path: "/socket", websocket: {} },
    ],
  });
});
after(async () => {
  await gateway[Symbol.asyncDispose]();
  await upstream[Symbol.asyncDispose]();
});

const SMUGGLED = get("/smuggled");
const HOST = "Host: localhost";

/** Sends the bytes and a request hidden behind them; tells what came back until the connection ended. */
async function refusedWith(bytes: string, behind = SMUGGLED, mayBegin = false): Promise<string> {
  const seen = upstream.requests.length;
  await using client = await gateway.connect();
  await client.write(bytes + behind);
  const answer = (await client.readToEnd()).toString("latin1");
  // A good request afterwards proves that whatever the gateway still did with the bad one is over.
  await using next = await gateway.connect();
  await next.write(get("/afterwards"));
  await readAnswer(next);
  const begun = upstream.requests.slice(seen).filter(({ target }) => target !== "/afterwards");
  assert.ok(
    !begun.some(({ target }) => target === "/smuggled"),
    "the hidden request was forwarded",
  );
  if (!mayBegin) assert.deepEqual(begun, [], "something reached the upstream");
  for (const request of begun)
    await waitFor(() => request.state() === "cut", { what: "the broken upload to be cut" });
  return answer;
}

function assertRefusal(answer: string, status: number): void {
  assert.match(answer, new RegExp(`^HTTP/1\\.1 ${status} `), answer.slice(0, 200));
  assert.match(answer, /\r\nConnection: close\r\n/i);
  assert.equal(answer.match(/HTTP\/1\.1 \d{3} /g)?.length, 1, "more than one answer");
  assert.match(answer, /"type":"[^"]+\/\.tidegate\/problems\/[a-z-]+"/);
}

describe("400 by the parser, with our problem document", () => {
  const post = (fields: readonly string[], body = ""): string =>
    requestBytes("POST /x HTTP/1.1", fields, body);
  const chunked = (body: string): string => post(["Transfer-Encoding: chunked"], body);
  const shapes: Record<string, string> = {
    "two lengths that differ": post(["Content-Length: 3", "Content-Length: 4"], "abcd"),
    "two equal lengths": post(["Content-Length: 3", "Content-Length: 3"], "abc"),
    "a length with chunked": post(["Content-Length: 3", "Transfer-Encoding: chunked"], "0\r\n\r\n"),
    "chunked with a length": post(["Transfer-Encoding: chunked", "Content-Length: 3"], "0\r\n\r\n"),
    "doubled chunked": post(["Transfer-Encoding: chunked, chunked"], "0\r\n\r\n"),
    "chunked on two lines": post(
      ["Transfer-Encoding: chunked", "Transfer-Encoding: chunked"],
      "0\r\n\r\n",
    ),
    "chunked that is not last": post(["Transfer-Encoding: chunked, gzip"], "0\r\n\r\n"),
    "an unknown coding": post(["Transfer-Encoding: xchunked"], "0\r\n\r\n"),
    identity: post(["Transfer-Encoding: identity"], ""),
    "a length with a sign": post(["Content-Length: +3"], "abc"),
    "a negative length": post(["Content-Length: -3"], "abc"),
    "a length in hex": post(["Content-Length: 0x3"], "abc"),
    "a length with a comma": post(["Content-Length: 3, 3"], "abc"),
    "a length with a blank in it": post(["Content-Length: 3 3"], "abc"),
    "an empty length": post(["Content-Length:"], "abc"),
    "a length beyond 64 bits": post(["Content-Length: 18446744073709551617"], "a"),
    "a length beyond what we count": post(["Content-Length: 9999999999999999"], "a"),
    "bare LF behind the request line": `GET /x HTTP/1.1\n${HOST}\r\n\r\n`,
    "bare LF behind a field": `GET /x HTTP/1.1\r\n${HOST}\nX: y\r\n\r\n`,
    "bare LF for the empty line": `GET /x HTTP/1.1\r\n${HOST}\r\n\n`,
    "bare CR in a value": `GET /x HTTP/1.1\r\n${HOST}\r\nX: a\rb\r\n\r\n`,
    "NUL in a value": `GET /x HTTP/1.1\r\n${HOST}\r\nX: a\0b\r\n\r\n`,
    "NUL in a name": `GET /x HTTP/1.1\r\n${HOST}\r\nX\0: a\r\n\r\n`,
    "NUL in the target": `GET /x\0y HTTP/1.1\r\n${HOST}\r\n\r\n`,
    "a space before the colon": `GET /x HTTP/1.1\r\n${HOST}\r\nX : a\r\n\r\n`,
    "a space before the colon of a length": post(["Content-Length : 3"], "abc"),
    "an empty name": `GET /x HTTP/1.1\r\n${HOST}\r\n: a\r\n\r\n`,
    "a folded line": `GET /x HTTP/1.1\r\n${HOST}\r\nX: a\r\n b\r\n\r\n`,
    "a folded first line": `GET /x HTTP/1.1\r\n ${HOST}\r\n\r\n`,
    "a line without colon": `GET /x HTTP/1.1\r\n${HOST}\r\nnonsense\r\n\r\n`,
    "a blank in the target": `GET /x y HTTP/1.1\r\n${HOST}\r\n\r\n`,
    "HTTP/0.9": "GET /x\r\n",
    garbage: "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
  };
  const bodies: Record<string, string> = {
    "a chunk size that is none": chunked("x\r\nabc\r\n0\r\n\r\n"),
    "a chunk size with a sign": chunked("+3\r\nabc\r\n0\r\n\r\n"),
    "a chunk size in 0x form": chunked("0x3\r\nabc\r\n0\r\n\r\n"),
    "a chunk size with a blank before": chunked(" 3\r\nabc\r\n0\r\n\r\n"),
    "a chunk size with bare LF": chunked("3\nabc\r\n0\r\n\r\n"),
    "a chunk longer than its size": chunked("3\r\nabcd\r\n0\r\n\r\n"),
    "a chunk with bare LF behind it": chunked("3\r\nabc\n0\r\n\r\n"),
    "a chunk size beyond 64 bits": chunked("10000000000000003\r\nabc\r\n0\r\n\r\n"),
    "bare LF in a chunk extension": chunked("3;a\nb\r\nabc\r\n0\r\n\r\n"),
    "a space before the colon in a trailer": chunked("0\r\nX : y\r\n\r\n"),
    "a length in trailers": chunked("0\r\nContent-Length: 50\r\n\r\n"),
    "a transfer coding in trailers": chunked("0\r\nTransfer-Encoding: chunked\r\n\r\n"),
    "bare LF behind the last chunk": chunked("0\r\n\n"),
  };
  for (const [name, bytes] of Object.entries(shapes)) {
    test(`${name} is refused with 400`, async () => {
      assertRefusal(await refusedWith(bytes), 400);
    });
  }

  // What breaks inside the body is found after the head went upstream: there it must end without its last chunk.
  for (const [name, bytes] of Object.entries(bodies)) {
    test(`${name} is refused with 400 and never whole upstream`, async () => {
      assertRefusal(await refusedWith(bytes, SMUGGLED, true), 400);
    });
  }
});

describe("400 by the gateway", () => {
  const shapes: Record<string, string> = {
    "Transfer-Encoding in other letters": requestBytes(
      "POST /x HTTP/1.1",
      ["Transfer-Encoding: Chunked"],
      "0\r\n\r\n",
    ),
    "gzip before chunked": requestBytes(
      "POST /x HTTP/1.1",
      ["Transfer-Encoding: gzip, chunked"],
      "0\r\n\r\n",
    ),
    "Transfer-Encoding with HTTP/1.0": requestBytes(
      "POST /x HTTP/1.0",
      ["Transfer-Encoding: chunked", "Connection: keep-alive"],
      "0\r\n\r\n",
    ),
    "HTTP/0.9 with fields": requestBytes("GET /x HTTP/0.9"),
    "HTTP/2.0 on the request line": requestBytes("GET /x HTTP/2.0"),
    "HTTP/1.2": requestBytes("GET /x HTTP/1.2"),
    "no Host": "GET /x HTTP/1.1\r\nX: y\r\n\r\n",
    "two Hosts": requestBytes("GET /x HTTP/1.1", [HOST, HOST]),
    "an empty Host": requestBytes("GET /x HTTP/1.1", ["Host:"]),
    "Host with a path": requestBytes("GET /x HTTP/1.1", ["Host: localhost/evil"]),
    "Host with userinfo": requestBytes("GET /x HTTP/1.1", ["Host: user@localhost"]),
    "Host with a comma": requestBytes("GET /x HTTP/1.1", ["Host: localhost, evil.example"]),
    "Host with a blank": requestBytes("GET /x HTTP/1.1", ["Host: localhost evil"]),
    "Host with a long port": requestBytes("GET /x HTTP/1.1", ["Host: localhost:808080"]),
    "two Authorizations": get("/x", ["Authorization: Basic YQ==", "authorization: Basic YQ=="]),
    "two Content-Types": requestBytes("POST /x HTTP/1.1", [
      "Content-Type: text/plain",
      "Content-Type: text/html",
      "Content-Length: 0",
    ]),
    "two Origins": get("/x", ["Origin: http://localhost", "Origin: http://evil.example"]),
    "absolute form of another host": requestBytes("GET http://evil.example/x HTTP/1.1"),
    "absolute form that is not Host": requestBytes("GET http://127.0.0.1/x HTTP/1.1"),
    "absolute form of another scheme": requestBytes("GET https://localhost/x HTTP/1.1"),
    "absolute form with userinfo": requestBytes("GET http://a@localhost/x HTTP/1.1"),
    ftp: requestBytes("GET ftp://localhost/x HTTP/1.1"),
    "authority form": requestBytes("GET localhost:80 HTTP/1.1"),
    "GET *": requestBytes("GET * HTTP/1.1"),
    "# in the target": requestBytes("GET /x#y HTTP/1.1"),
    "\\ in the target": requestBytes("GET /x\\..\\y HTTP/1.1"),
    "a target that begins with //": requestBytes("GET //evil.example/x HTTP/1.1"),
    "a target that resolves to //": requestBytes("GET /.//evil.example/x HTTP/1.1"),
    "an absolute form whose path begins with //": requestBytes("GET http://localhost//x HTTP/1.1"),
    TRACE: requestBytes("TRACE /x HTTP/1.1"),
    CONNECT: requestBytes("CONNECT localhost:80 HTTP/1.1"),
    "CONNECT with a body": requestBytes(
      "CONNECT localhost:80 HTTP/1.1",
      ["Content-Length: 3"],
      "abc",
    ),
    "Connection that names Content-Length": requestBytes(
      "POST /x HTTP/1.1",
      ["Content-Length: 3", "Connection: content-length"],
      "abc",
    ),
    "Connection that names Host": get("/x", ["Connection: keep-alive, hOsT"]),
    "Connection that names Authorization": get("/x", [
      "Connection: close",
      "Connection: authorization",
    ]),
    "an upgrade to something else": get("/socket", ["Connection: Upgrade", "Upgrade: h2c"]),
    "an upgrade to two things": get("/socket", ["Connection: Upgrade", "Upgrade: websocket, h2c"]),
    "an upgrade of POST": requestBytes("POST /socket HTTP/1.1", [
      "Connection: Upgrade",
      "Upgrade: websocket",
      "Content-Length: 0",
    ]),
    "an upgrade with a body": requestBytes(
      "GET /socket HTTP/1.1",
      ["Connection: Upgrade", "Upgrade: websocket", "Content-Length: 3"],
      "abc",
    ),
    "an upgrade with chunks": requestBytes(
      "GET /socket HTTP/1.1",
      ["Connection: Upgrade", "Upgrade: websocket", "Transfer-Encoding: chunked"],
      "0\r\n\r\n",
    ),
    "an upgrade in HTTP/1.0": requestBytes("GET /socket HTTP/1.0", [
      "Connection: Upgrade",
      "Upgrade: websocket",
    ]),
  };
  for (const [name, bytes] of Object.entries(shapes)) {
    test(`${name} is refused with 400`, async () => {
      assertRefusal(await refusedWith(bytes), 400);
    });
  }

  for (const path of [
    "/a%2fb",
    "/a%5cb",
    "/a;b",
    "/a//b",
    "/%00",
    "/a%0",
    "/%zz",
    "/..",
    "/a/..;/b",
  ]) {
    test(`the path ${path} is refused with 400 and reaches nobody`, async () => {
      const seen = upstream.requests.length;
      const answer = await gateway.ask(get(path));
      assert.equal(answer.status, 400);
      assert.match(readProblem(answer).type, /\/bad-path$/);
      assert.equal(upstream.requests.length, seen);
    });
  }
});

describe("other refusals", () => {
  test("a head that does not come in time gets 408", async () => {
    await using client = await gateway.connect();
    await client.write(`GET /x HTTP/1.1\r\n${HOST}\r\n`);
    const answer = (await client.readToEnd()).toString("latin1");
    assertRefusal(answer, 408);
  });

  test("a target longer than allowed gets 414", async () => {
    assertRefusal(await refusedWith(get(`/${"a".repeat(300)}`)), 414);
  });

  test("fields larger than allowed get 431", async () => {
    assertRefusal(await refusedWith(get("/x", [`X: ${"a".repeat(4_000)}`]), ""), 431);
  });

  test("many small fields larger than allowed get 431", async () => {
    const fields = Array.from({ length: 400 }, (_, at) => `X-${at}: y`);
    assertRefusal(await refusedWith(get("/x", fields), ""), 431);
  });

  test("a foreign Host gets 421 (DNS rebinding), and health answers any", async () => {
    const seen = upstream.requests.length;
    const answer = await gateway.ask(requestBytes("GET /x HTTP/1.1", ["Host: evil.example"]));
    assert.equal(answer.status, 421);
    const keys = requestBytes("GET /.tidegate/jwks.json HTTP/1.1", ["Host: evil.example"]);
    assert.equal((await gateway.ask(keys)).status, 421);
    assert.equal(upstream.requests.length, seen);
    const health = await gateway.ask(requestBytes("GET /healthz HTTP/1.1", ["Host: evil.example"]));
    assert.equal(health.status, 200);
  });

  test("HTTP/1.0 without Host is not served, and health is", async () => {
    assert.equal((await gateway.ask("GET /x HTTP/1.0\r\n\r\n")).status, 421);
    assert.equal((await gateway.ask("GET /healthz HTTP/1.0\r\n\r\n")).status, 200);
  });

  test("an expectation other than 100-continue gets 417", async () => {
    const answer = await gateway.ask(get("/x", ["Expect: 200-ok"]));
    assert.equal(answer.status, 417);
    assert.match(readProblem(answer).type, /\/expectation-failed$/);
  });

  test("a path that speaks WebSocket only gets 426 with Upgrade", async () => {
    const answer = await gateway.ask(get("/socket"));
    assert.equal(answer.status, 426);
    assert.equal(answer.field("upgrade"), "websocket");
    assert.match(readProblem(answer).type, /\/upgrade-required$/);
  });

  test("an upgrade where none is offered gets 400 and a closed connection", async () => {
    const handshake = get("/x", [
      "Connection: Upgrade",
      "Upgrade: websocket",
      "Sec-WebSocket-Version: 13",
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    ]);
    assertRefusal(await refusedWith(handshake), 400);
  });

  test("an unknown method gets 501, garbage in its place 400", async () => {
    assertRefusal(await refusedWith(requestBytes("BREW /x HTTP/1.1")), 501);
    assertRefusal(await refusedWith(requestBytes("get /x HTTP/1.1")), 400);
  });

  test("a method that the place does not serve gets 405 and Allow", async () => {
    const answer = await gateway.ask(
      requestBytes("DELETE /only-get HTTP/1.1", ["Content-Length: 0"]),
    );
    assert.equal(answer.status, 405);
    assert.equal(answer.field("allow"), "GET, HEAD");
    assert.match(readProblem(answer).type, /\/method-not-allowed$/);
  });

  test("nothing at a path gets 404", async () => {
    await using other = await startGateway({ targets: [upstream.url], routes: [{ path: "/a/*" }] });
    const answer = await other.ask(get("/b"));
    assert.equal(answer.status, 404);
    const page = await other.ask(get(new URL(readProblem(answer).type).pathname));
    assert.equal(page.status, 200);
    assert.match(page.body.toString(), /^route-unknown\n/);
  });

  test("a request that comes back to the gateway gets 508, through real hops", async () => {
    let port = 0;
    await using loop = await startUpstream({
      onRequest: (request, response) => {
        // An upstream that is misconfigured to send everything back.
        void fetch(`http://127.0.0.1:${port}/again`, {
          headers: request.fields.filter(([name]) => name.toLowerCase() === "via") as [
            string,
            string,
          ][],
        }).then(async (answer) => response.writeHead(answer.status).end(await answer.text()));
      },
    });
    await using looped = await startGateway({ targets: [loop.url] });
    port = looped.port;
    const answer = await looped.ask(get("/x"));
    assert.equal(answer.status, 508);
    assert.equal(loop.requests.length, 1);
  });
});

describe("requests behind others on one connection", () => {
  test("answers come in the order of the requests, and one runs at a time", async () => {
    const running: string[] = [];
    let atOnce = 0;
    await using slow = await startUpstream({
      onRequest: (request, response) => {
        running.push(request.target);
        atOnce = Math.max(atOnce, running.length);
        setImmediate(() => {
          running.splice(running.indexOf(request.target), 1);
          response.end(request.target);
        });
      },
    });
    await using piped = await startGateway({ targets: [slow.url] });
    await using client = await piped.connect();
    const paths = Array.from({ length: 20 }, (_, at) => `/p${at}`);
    await client.write(paths.map((path) => get(path)).join(""));
    for (const path of paths) assert.equal((await readAnswer(client)).body.toString(), path);
    assert.equal(atOnce, 1);
  });

  test("a flood of pipelined requests ends the connection", async () => {
    await using silent = await startUpstream({ onRequest: () => undefined });
    await using piped = await startGateway({ targets: [silent.url] });
    await using client = await piped.connect();
    await client.write(get("/p").repeat(40));
    await client.ended();
    assert.equal(silent.requests.length <= 1, true);
    await waitFor(() => silent.openConnections() === 0, { what: "the upstream request to be cut" });
  });

  test("an upgrade behind an unanswered request is refused in its turn, and never overtakes", async () => {
    let release: () => void = () => undefined;
    await using slow = await startUpstream({
      onRequest: (_request, response) => {
        release = () => response.end("first");
      },
    });
    await using piped = await startGateway({
      targets: [slow.url],
      routes: [{ path: "/**", websocket: {}, methods: ["GET"] }],
    });
    await using client = await piped.connect();
    const handshake = get("/socket", [
      "Connection: Upgrade",
      "Upgrade: websocket",
      "Sec-WebSocket-Version: 13",
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    ]);
    await client.write(get("/x") + handshake + SMUGGLED);
    await slow.requestAt(0);
    assert.equal(client.receivedBytes(), 0);
    release();
    assert.equal((await readAnswer(client)).body.toString(), "first");
    assert.equal((await readAnswer(client)).status, 400);
    assert.equal((await client.readToEnd()).length, 0);
    assert.equal(slow.requests.length, 1);
    assert.equal(slow.webSockets.length, 0);
  });

  test("CONNECT behind an unanswered request ends the connection without an answer", async () => {
    await using silent = await startUpstream({ onRequest: () => undefined });
    await using piped = await startGateway({ targets: [silent.url] });
    await using client = await piped.connect();
    await client.write(`${get("/x")}CONNECT localhost:80 HTTP/1.1\r\n${HOST}\r\n\r\n`);
    assert.equal((await client.readToEnd()).length, 0);
    await waitFor(() => silent.openConnections() === 0, { what: "the upstream request to be cut" });
  });

  test("garbage behind a good request is refused after its answer", async () => {
    let release: () => void = () => undefined;
    await using slow = await startUpstream({
      onRequest: (_request, response) => {
        release = () => response.end("first");
      },
    });
    await using piped = await startGateway({ targets: [slow.url] });
    await using client = await piped.connect();
    await client.write(`${get("/x")}GET /y HTTP/1.1\r\n${HOST}\r\nX : y\r\n\r\n`);
    await slow.requestAt(0);
    assert.equal(client.receivedBytes(), 0);
    release();
    assert.equal((await readAnswer(client)).body.toString(), "first");
    assert.equal((await readAnswer(client)).status, 400);
    await client.ended();
    assert.equal(slow.requests.length, 1);
  });

  test("a client that leaves takes all its pipelined requests with it", async () => {
    await using silent = await startUpstream({ onRequest: () => undefined });
    await using piped = await startGateway({ targets: [silent.url] });
    const client = await piped.connect();
    await client.write(get("/a") + get("/b"));
    await silent.requestAt(0);
    client.reset();
    await waitFor(() => silent.openConnections() === 0, { what: "the upstream request to be cut" });
    const lines = await piped.loggedAtLeast("request", 1);
    assert.equal(lines[0]?.["status"], 499);
    assert.equal(silent.requests.length, 1);
  });
});

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { rawConnection, readAnswer, waitFor } from "@tidegate/testkit";
import { toAcceptValue } from "@tidegate/wire";
import {
  bare,
  CLIENT_KEY,
  handshake,
  masked,
  openClient,
  startRawUpstream,
  startRelayGateway,
  switchingProtocols,
} from "./socket-harness.ts";

const SMUGGLED = "GET /admin HTTP/1.1\r\nHost: inside\r\n\r\n";

describe("a handshake is refused before the upstream hears of it", () => {
  const cases: readonly (readonly [string, Record<string, string | undefined>, number])[] = [
    ["another version (the 426 smuggling trick)", { "Sec-WebSocket-Version": "777" }, 426],
    ["no version", { "Sec-WebSocket-Version": undefined }, 426],
    ["two versions in one", { "Sec-WebSocket-Version": "13, 8" }, 426],
    ["no key", { "Sec-WebSocket-Key": undefined }, 400],
    ["a short key", { "Sec-WebSocket-Key": "c2hvcnQ=" }, 400],
    ["a key of 16 characters", { "Sec-WebSocket-Key": "0123456789abcdef" }, 400],
    ["a body", { "Content-Length": "5" }, 400],
    ["Upgrade to more than websocket", { Upgrade: "websocket, h2c" }, 400],
    ["subprotocols that are no names", { "Sec-WebSocket-Protocol": "chat,,v2" }, 400],
    ["one subprotocol twice", { "Sec-WebSocket-Protocol": "chat, chat" }, 400],
    ["extensions that are no list", { "Sec-WebSocket-Extensions": "permessage-deflate;" }, 400],
  ];
  for (const [name, fields, status] of cases) {
    test(name, async () => {
      await using upstream = await startRawUpstream();
      await using gateway = await startRelayGateway(upstream.port);
      await using client = await rawConnection(gateway.port);
      await client.write(handshake(gateway.port, fields) + SMUGGLED);
      const answer = await readAnswer(client);
      assert.equal(answer.status, status);
      if (status === 426) assert.equal(answer.field("sec-websocket-version"), "13");
      await client.ended();
      assert.equal(upstream.server.sockets.length, 0);
    });
  }

  test("a chunked body", async () => {
    await using upstream = await startRawUpstream();
    await using gateway = await startRelayGateway(upstream.port);
    await using client = await rawConnection(gateway.port);
    const head = handshake(gateway.port, { "Transfer-Encoding": "chunked" });
    await client.write(`${head}5\r\nhello\r\n0\r\n\r\n`);
    assert.equal((await readAnswer(client)).status, 400);
    await client.ended();
    assert.equal(upstream.server.sockets.length, 0);
  });

  test("another method", async () => {
    await using upstream = await startRawUpstream();
    await using gateway = await startRelayGateway(upstream.port);
    await using client = await rawConnection(gateway.port);
    await client.write(handshake(gateway.port, {}, { method: "POST" }));
    assert.equal((await readAnswer(client)).status, 400);
    assert.equal(upstream.server.sockets.length, 0);
  });

  test("more early bytes than allowed", async () => {
    await using upstream = await startRawUpstream({ answer: () => undefined });
    await using gateway = await startRelayGateway(upstream.port, {
      websocket: { maxEarlyBytes: 1_000 },
    });
    await using client = await rawConnection(gateway.port);
    await client.write(Buffer.concat([Buffer.from(handshake(gateway.port)), Buffer.alloc(1_001)]));
    assert.equal((await readAnswer(client)).status, 400);
    await waitFor(() => gateway.openings.length > 0, { what: "the opening" });
    assert.deepEqual(gateway.openings, [{ kind: "flooded" }]);
    assert.equal(gateway.endedSessions(), 1);
  });
});

describe("an upstream that does not upgrade is no tunnel", () => {
  const faked: readonly (readonly [string, (key: string) => string])[] = [
    [
      "a 101 without Sec-WebSocket-Accept",
      () => "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
    ],
    ["a 101 with the accept value of the client's own key", () => switchingProtocols(CLIENT_KEY)],
    ["a bare 101", () => "HTTP/1.1 101 Fine\r\n\r\n"],
    [
      "a 101 that upgrades to something else",
      (key) => switchingProtocols(key).replace("Upgrade: websocket", "Upgrade: h2c"),
    ],
    [
      "a 101 that closes",
      (key) => switchingProtocols(key).replace("Connection: Upgrade", "Connection: close"),
    ],
    ["a 101 with a length", (key) => switchingProtocols(key, "Content-Length: 3\r\n")],
    [
      "a subprotocol nobody offered",
      (key) => switchingProtocols(key, "Sec-WebSocket-Protocol: evil\r\n"),
    ],
    ["two subprotocols", (key) => switchingProtocols(key, "Sec-WebSocket-Protocol: chat, v2\r\n")],
    [
      "an extension nobody offered",
      (key) => switchingProtocols(key, "Sec-WebSocket-Extensions: permessage-deflate\r\n"),
    ],
    ["garbage", () => "SSH-2.0-OpenSSH\r\n\r\n"],
  ];
  for (const [name, answer] of faked) {
    test(`${name} gets 502, and nothing of the client's gets through`, async () => {
      await using upstream = await startRawUpstream({ answer });
      await using gateway = await startRelayGateway(upstream.port);
      await using client = await rawConnection(gateway.port);
      const offer = { "Sec-WebSocket-Protocol": "chat, v2" };
      await client.write(handshake(gateway.port, offer) + SMUGGLED);
      const answered = await readAnswer(client);
      assert.equal(answered.status, 502);
      await client.ended();
      assert.equal(upstream.frames(0).length, 0);
      assert.equal(gateway.openings[0]?.kind, "failed");
      assert.equal(gateway.endedSessions(), 1);
    });
  }

  for (const [name, answer, body] of [
    [
      "a length",
      "HTTP/1.1 426 Upgrade Required\r\nContent-Length: 5\r\nX-Why: old\r\n\r\nsorry",
      "sorry",
    ],
    [
      "chunks",
      "HTTP/1.1 403 No\r\nTransfer-Encoding: chunked\r\nX-Why: old\r\n\r\n5\r\nsorry\r\n0\r\n\r\n",
      "sorry",
    ],
    ["no body", "HTTP/1.1 404 No\r\nContent-Length: 0\r\nX-Why: old\r\n\r\n", ""],
  ] as const) {
    test(`its answer with ${name} becomes the client's, and the connection ends`, async () => {
      const secret =
        "Tidegate-Assertion: x\r\nSet-Cookie: __Host-tidegate=evil\r\nSet-Cookie: a=b\r\n";
      await using upstream = await startRawUpstream({
        answer: () => answer.replace("\r\n\r\n", `\r\n${secret}\r\n`),
      });
      await using gateway = await startRelayGateway(upstream.port);
      await using client = await rawConnection(gateway.port);
      // What the client sends now would be a request to the upstream, were this a tunnel.
      await client.write(handshake(gateway.port) + SMUGGLED);
      const answered = await readAnswer(client);
      assert.equal(answered.status, Number(answer.slice(9, 12)));
      assert.equal(answered.body.toString(), body);
      assert.equal(answered.field("x-why"), "old");
      assert.equal(answered.field("set-cookie"), "a=b");
      assert.equal(answered.field("tidegate-assertion"), undefined);
      assert.equal(answered.field("connection"), "close");
      assert.equal(await client.ended(), "end");
      assert.equal(upstream.frames(0).length, 0);
      assert.equal(gateway.openings[0]?.kind, "answered");
    });
  }

  test("its answer cut short is not made to look whole", async () => {
    await using upstream = await startRawUpstream({
      answer: () => "HTTP/1.1 403 No\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nso",
    });
    await using gateway = await startRelayGateway(upstream.port);
    await using client = await rawConnection(gateway.port);
    await client.write(handshake(gateway.port));
    (await upstream.socket()).end();
    assert.equal(await client.ended(), "reset");
  });

  test("silence gets an answer after the upstream's own bound", async () => {
    await using upstream = await startRawUpstream({ answer: () => undefined });
    await using gateway = await startRelayGateway(upstream.port, { firstByteTimeoutMs: 100 });
    await using client = await rawConnection(gateway.port);
    await client.write(handshake(gateway.port));
    assert.equal((await readAnswer(client)).body.toString(), "upstream_timeout");
  });

  test("an upstream that ends gets 502", async () => {
    await using upstream = await startRawUpstream({ answer: () => undefined });
    await using gateway = await startRelayGateway(upstream.port);
    await using client = await rawConnection(gateway.port);
    await client.write(handshake(gateway.port));
    (await upstream.socket()).destroy();
    assert.equal((await readAnswer(client)).body.toString(), "upstream_ended");
  });

  test("nobody listening gets 502", async () => {
    await using gateway = await startRelayGateway(1);
    await using client = await rawConnection(gateway.port);
    await client.write(handshake(gateway.port));
    assert.equal((await readAnswer(client)).body.toString(), "upstream_unreachable");
  });
});

describe("an accepted handshake", () => {
  test("is answered for the client's key and asked with a key of our own", async () => {
    await using upstream = await startRawUpstream({
      fields:
        "X-Service: yes\r\nTidegate-Connection: forged\r\nSet-Cookie: __Host-tidegate-flow=x\r\n",
    });
    await using gateway = await startRelayGateway(upstream.port);
    await using client = await openClient(gateway);
    assert.ok(client.head.includes(`Sec-WebSocket-Accept: ${toAcceptValue(CLIENT_KEY)}\r\n`));
    assert.equal(client.head.match(/sec-websocket-accept/gi)?.length, 1);
    assert.ok(client.head.includes("X-Service: yes\r\n"));
    assert.deepEqual(client.head.match(/Tidegate-Connection: \S+/g), [
      "Tidegate-Connection: connection-1",
    ]);
    assert.ok(!client.head.includes("__Host-"));
    const [request] = upstream.requests;
    assert.ok(!request!.includes(CLIENT_KEY));
    assert.match(request!, /Sec-WebSocket-Version: 13\r\n/);
  });

  test("keeps the chosen subprotocol", async () => {
    await using upstream = await startRawUpstream({ fields: "Sec-WebSocket-Protocol: v2\r\n" });
    await using gateway = await startRelayGateway(upstream.port);
    await using client = await openClient(gateway, { "Sec-WebSocket-Protocol": "v1, v2" });
    assert.match(client.head, /Sec-WebSocket-Protocol: v2\r\n/);
    assert.match(upstream.requests[0]!, /Sec-WebSocket-Protocol: v1, v2\r\n/);
  });

  const deflate = {
    "Sec-WebSocket-Extensions": "x-unknown, permessage-deflate; client_max_window_bits",
  };

  test("passes compression on where nothing can be dropped, and RSV1 with it", async () => {
    await using upstream = await startRawUpstream({
      fields: "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits=12\r\n",
    });
    await using gateway = await startRelayGateway(upstream.port);
    await using client = await openClient(gateway, deflate);
    assert.match(
      upstream.requests[0]!,
      /Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n/,
    );
    assert.match(
      client.head,
      /Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits=12\r\n/,
    );
    const compressed = masked("squeezed", { reserved: 4 });
    await client.write(compressed);
    await upstream.received(compressed);
  });

  test("negotiates compression away where a message may be dropped", async () => {
    await using upstream = await startRawUpstream();
    await using gateway = await startRelayGateway(upstream.port, {
      websocket: {
        limits: [{ kind: "bucket", rate: { count: 1, seconds: 1 }, burst: 1, exceed: "drop" }],
      },
    });
    await using client = await openClient(gateway, deflate);
    assert.doesNotMatch(upstream.requests[0]!, /Sec-WebSocket-Extensions/i);
    assert.doesNotMatch(client.head, /Sec-WebSocket-Extensions/i);
  });

  test("delivers frames that came early on either side, in order", async () => {
    await using upstream = await startRawUpstream({ behind: bare("hello from the service") });
    await using gateway = await startRelayGateway(upstream.port);
    await using client = await rawConnection(gateway.port);
    const early = [masked("one"), masked("two")];
    await client.write(Buffer.concat([Buffer.from(handshake(gateway.port)), ...early]));
    await client.readUntil("\r\n\r\n");
    assert.deepEqual(await client.readBytes(24), bare("hello from the service"));
    await client.write(masked("three"));
    await upstream.received(Buffer.concat([...early, masked("three")]));
  });

  test("is forgotten when the client leaves before it is accepted", async () => {
    await using upstream = await startRawUpstream({ answer: () => undefined });
    await using gateway = await startRelayGateway(upstream.port);
    await using client = await rawConnection(gateway.port);
    await client.write(handshake(gateway.port));
    const socket = await upstream.socket();
    client.reset();
    await waitFor(() => socket.readableEnded || socket.closed, {
      what: "the upstream connection to end",
    });
    await waitFor(() => gateway.openings.length > 0, { what: "the opening" });
    assert.equal(gateway.openings[0]?.kind, "failed");
    assert.equal(gateway.endedSessions(), 1);
  });
});

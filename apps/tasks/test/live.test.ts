import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { describe, test } from "node:test";
import { manualClock, systemClock, type Clock } from "@tidegate/clock";
import { rawConnection, waitFor } from "@tidegate/testkit";
import { feedClient } from "./feed-client.ts";
import { tasksUnderTest, type TasksUnderTest } from "./tasks-under-test.ts";

const port = (tasks: TasksUnderTest): number => Number(new URL(tasks.server.url).port);
const handshake = (fields: string, path = "/tasks/live"): string =>
  `GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
  `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n${fields}\r\n`;

describe("the handshake", () => {
  test("is refused as every request is: with a status and a problem", async () => {
    await using tasks = await tasksUnderTest();
    const ada = `Tidegate-Assertion: ${tasks.gateway.assertion("ada")}\r\n`;
    const forBank = tasks.gateway.assertion("ada", { claims: { aud: "bank" } });
    const nobody = tasks.gateway.assertion("", { claims: { sub: undefined, src: undefined } });
    const cases: [bytes: string, status: number, slug: string][] = [
      [handshake(""), 401, "assertion-missing"],
      [
        handshake(`Authorization: Bearer ${tasks.gateway.assertion("ada")}\r\n`),
        401,
        "assertion-missing",
      ],
      [handshake(`Tidegate-Assertion: ${forBank}\r\n`), 401, "assertion-refused"],
      [handshake(`Tidegate-Assertion: ${nobody}\r\n`), 401, "person-required"],
      [handshake(ada, "/tasks/live?since=-1"), 400, "invalid-request"],
      [handshake(ada, "/tasks/live?since=1&since=2"), 400, "invalid-request"],
      [handshake(ada, "/tasks/live?person=grace"), 400, "invalid-request"],
      [handshake(ada).replace("Version: 13", "Version: 8"), 426, "upgrade-required"],
      [handshake(ada).replace(/Sec-WebSocket-Key: .*\r\n/, ""), 400, "malformed-request"],
      [handshake(ada).replace("Upgrade: websocket", "Upgrade: h2c"), 426, "upgrade-required"],
      [handshake(ada, "/tasks/other"), 404, "task-not-found"],
    ];
    for (const [bytes, status, slug] of cases) {
      await using raw = await rawConnection(port(tasks));
      await raw.write(bytes);
      const answer = String(await raw.readUntil("}"));
      assert.match(answer, new RegExp(`^HTTP/1.1 ${status} `), answer);
      assert.match(answer, new RegExp(`problems#${slug}"`), answer);
    }
    const plain = await tasks.call("ada", "GET /tasks/live");
    assert.equal(plain.status, 426);
    assert.equal(plain.headers.get("upgrade"), "websocket");
  });

  test("one person has at most fifty feeds, and another still gets in", async () => {
    await using tasks = await tasksUnderTest();
    const open = await Promise.all(Array.from({ length: 50 }, () => feedClient(tasks, "ada")));
    await assert.rejects(feedClient(tasks, "ada"), /429/);
    using _grace = await feedClient(tasks, "grace");
    open[0]?.socket.terminate();
    using _again = await waitFor(() => feedClient(tasks, "ada"), { what: "room again" });
    for (const client of open) client.socket.terminate();
  });
});

describe("the feed", () => {
  test("tells a person's other clients what changed, in order, and nobody else", async () => {
    await using tasks = await tasksUnderTest();
    using phone = await feedClient(tasks, "ada");
    using laptop = await feedClient(tasks, "ada");
    using stranger = await feedClient(tasks, "grace");
    assert.deepEqual(await phone.heard(1), [{ type: "feed.ready", sequence: 0 }]);
    await laptop.heard(1);

    const { task } = await tasks.create("ada", { title: "a" });
    const headers = { "if-match": "*" };
    const patched = await tasks.call("ada", `PATCH /tasks/${task.id}`, {
      headers,
      body: { title: "b" },
    });
    await tasks.call("ada", `PATCH /tasks/${task.id}`, { headers, body: { title: "b" } });
    const moved = await tasks.create("ada", { title: "c" });
    const place = await tasks.call("ada", `POST /tasks/${moved.task.id}/move`, {
      body: { to: "first" },
    });
    await tasks.call("ada", `DELETE /tasks/${task.id}`, { headers });

    for (const client of [phone, laptop]) {
      const [, ...changes] = await client.heard(6);
      assert.deepEqual(
        changes.map(({ ...change }) => ({ ...change, at: "" })),
        [
          { type: "task.created", sequence: 1, at: "", task },
          { type: "task.updated", sequence: 2, at: "", task: patched.body },
          { type: "task.created", sequence: 3, at: "", task: moved.task },
          { type: "task.updated", sequence: 4, at: "", task: place.body },
          { type: "task.deleted", sequence: 5, at: "", id: task.id },
        ],
      );
    }
    assert.deepEqual(stranger.messages, [{ type: "feed.ready", sequence: 0 }]);
  });

  test("catches up after the sequence given, by query or by message", async () => {
    await using tasks = await tasksUnderTest();
    for (const title of ["a", "b", "c"]) await tasks.create("ada", { title });
    using late = await feedClient(tasks, "ada", "?since=1");
    const heard = await late.heard(3);
    assert.deepEqual(
      heard.map((message) => "sequence" in message && message.sequence),
      [1, 2, 3],
    );
    late.socket.send(JSON.stringify({ type: "feed.resume", since: 0 }));
    late.socket.send(JSON.stringify({ type: "ping" }));
    const all = await late.heard(8);
    const types = all
      .slice(3)
      .map((message) => message.type)
      .sort();
    assert.deepEqual(types, ["feed.ready", "pong", "task.created", "task.created", "task.created"]);
  });

  test("no acknowledged change is missing, whenever readers come and go", async () => {
    await using tasks = await tasksUnderTest();
    const acknowledged = new Set<string>();
    const writer = (async () => {
      for (let count = 0; count < 120; count += 4) {
        const made = await Promise.all([1, 2, 3, 4].map(() => tasks.create("ada", { title: "x" })));
        for (const { task } of made) acknowledged.add(task.id);
      }
    })();
    let since = 0;
    const seen: string[] = [];
    while (since < 120) {
      using client = await feedClient(tasks, "ada", `?since=${since}`);
      // The first message is `feed.ready`; then some, or all that will ever come.
      await client.heard(1 + Math.min(7, 120 - since));
      for (const message of client.messages) {
        if (message.type !== "task.created") continue;
        assert.equal(message.sequence, since + 1, "no gap, nothing twice");
        since = message.sequence;
        seen.push(message.task.id);
      }
    }
    await writer;
    assert.deepEqual(new Set(seen), acknowledged);
  });

  test("says resync when what was missed is no longer kept, or never was", async () => {
    await using tasks = await tasksUnderTest();
    for (const title of ["a", "b", "c"]) await tasks.create("ada", { title });
    using ahead = await feedClient(tasks, "ada", "?since=99");
    assert.deepEqual(await ahead.heard(1), [{ type: "feed.resync", sequence: 3 }]);
    {
      using database = new DatabaseSync(tasks.databaseFile);
      database.exec("delete from changes where sequence <= 2; update people set forgotten = 2");
    }
    using behind = await feedClient(tasks, "ada", "?since=1");
    assert.deepEqual(await behind.heard(1), [{ type: "feed.resync", sequence: 3 }]);
    using inTime = await feedClient(tasks, "ada", "?since=2");
    assert.equal((await inTime.heard(2))[1]?.type, "task.created");
    await tasks.create("ada", { title: "d" });
    assert.deepEqual((await behind.heard(2))[1]?.type, "task.created");
  });

  test("a message out of the contract closes with 4400, a big one with 1009", async () => {
    await using tasks = await tasksUnderTest();
    for (const bad of [
      "hello",
      "{}",
      "[]",
      '{"type":"pong"}',
      '{"type":"ping","id":1}',
      '{"type":"feed.resume"}',
      '{"type":"feed.resume","since":"1"}',
      '{"type":"feed.resume","since":-1}',
      '{"type":"feed.resume","since":1e300}',
      '{"type":"ping","__proto__":{}}',
    ]) {
      using client = await feedClient(tasks, "ada");
      await client.heard(1);
      client.socket.send(bad);
      assert.deepEqual(await client.ended(), { code: 4400, reason: "contract" }, bad);
    }
    using binary = await feedClient(tasks, "ada");
    await binary.heard(1);
    binary.socket.send(Buffer.from('{"type":"ping"}'));
    assert.equal((await binary.ended()).code, 4400);
    using big = await feedClient(tasks, "ada");
    await big.heard(1);
    big.socket.send(`{"type":"ping"}${" ".repeat(4_100)}`);
    assert.equal((await big.ended()).code, 1009);
  });

  test("a client that talks without end is closed with 4429", async () => {
    await using tasks = await tasksUnderTest();
    using client = await feedClient(tasks, "ada");
    await client.heard(1);
    for (let count = 0; count < 200; count += 1) client.socket.send('{"type":"ping"}');
    const { code } = await client.ended();
    assert.ok(code === 4429 || code === 1006, `closed with ${code}`);
    assert.ok(client.messages.length <= 121);
  });
});

describe("bad readers", () => {
  /** Timers by hand, time as it is: assertions stay valid. */
  const handClock = () => {
    const hand = manualClock(0);
    const clock: Clock = { ...systemClock, after: (delayMs, task) => hand.after(delayMs, task) };
    return { clock, advance: (ms: number) => hand.advance(ms), timers: () => hand.pendingTimers };
  };

  test("one that does not answer pings is cut at the second ping, one that does stays", async () => {
    const { clock, advance } = handClock();
    await using tasks = await tasksUnderTest({ clock });
    using lively = await feedClient(tasks, "ada");
    await lively.heard(1);
    await using dead = await rawConnection(port(tasks));
    await dead.write(handshake(`Tidegate-Assertion: ${tasks.gateway.assertion("ada")}\r\n`));
    await dead.readUntil('"sequence":0}');
    const pinged = new Promise((resolve) => lively.socket.once("ping", resolve));
    advance(30_000);
    await pinged;
    // The pong of the lively one is on its way before this message, and so is read before its answer is written.
    lively.socket.send('{"type":"ping"}');
    await lively.heard(2);
    advance(30_000);
    await dead.ended();
    lively.socket.send('{"type":"ping"}');
    await lively.heard(3);
  });

  test("one that does not answer the farewell is ended two seconds later", async () => {
    const { clock, advance } = handClock();
    await using tasks = await tasksUnderTest({ clock });
    await using dead = await rawConnection(port(tasks));
    await dead.write(handshake(`Tidegate-Assertion: ${tasks.gateway.assertion("ada")}\r\n`));
    await dead.readUntil('"sequence":0}');
    tasks.server.stages.drain();
    // A close frame of 24 bytes: the code 4512, and the reason.
    const farewell = await dead.readBytes(2 + 2 + "draining;retryAfter=2".length);
    assert.deepEqual([farewell[0], farewell.readUInt16BE(2)], [0x88, 4512]);
    advance(1_999);
    assert.equal(dead.ending(), undefined);
    advance(1);
    await dead.ended();
  });

  test("one that takes nothing is closed, holds one batch, and misses nothing when it comes back", async () => {
    const { clock, advance, timers } = handClock();
    await using tasks = await tasksUnderTest({ clock });
    const idleTimers = timers();
    const notes = "n".repeat(10_000);
    const count = 1_200;
    await tasks.create("ada", { title: "x", notes });
    {
      // Written behind the service's back, to save the time of a thousand commits.
      using database = new DatabaseSync(tasks.databaseFile);
      database
        .prepare(
          `insert into changes select person, value, kind, task_id, body, at_ms
           from changes, json_each(?) where sequence = 1`,
        )
        .run(JSON.stringify(Array.from({ length: count - 1 }, (_, index) => index + 2)));
      database.prepare("update people set sequence = ?").run(count);
    }
    await using slow = await rawConnection(port(tasks));
    slow.pause();
    await slow.write(
      handshake(`Tidegate-Assertion: ${tasks.gateway.assertion("ada")}\r\n`, "/tasks/live?since=0"),
    );
    // Its timer is the only sign from outside that the feed waits for this reader; one that stays is no passing one.
    let stalledChecks = 0;
    await waitFor(() => (stalledChecks = timers() > idleTimers ? stalledChecks + 1 : 0) >= 20, {
      what: "the feed to wait",
    });
    advance(10_000);
    slow.resume();
    await slow.ended();
    assert.ok(slow.receivedBytes() < count * notes.length, "it did not get all of it");
    using back = await feedClient(tasks, "ada", `?since=0`);
    const all = await back.heard(count + 1);
    assert.deepEqual(
      all.slice(1).map((message) => "sequence" in message && message.sequence),
      Array.from({ length: count }, (_, index) => index + 1),
    );
  });
});

// Several workers on one port: limits, caps and back-off are one, and a worker that dies is replaced.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { setUser } from "@tidegate/auth";
import { systemRandom } from "@tidegate/clock";
import { readAnswer, startUpstream, tempFolder, waitFor } from "@tidegate/testkit";
import { startGateway, type GatewayUnderTest } from "./http-harness.ts";

/** A gateway with two workers, and where `service` answers 200 to everything. */
async function start(
  options: Omit<Parameters<typeof startGateway>[0], "targets">,
): Promise<{ gateway: GatewayUnderTest } & AsyncDisposable> {
  await using parts = new AsyncDisposableStack();
  const upstream = parts.use(await startUpstream());
  const gateway = parts.use(
    await startGateway({ targets: [upstream.url], threads: 2, ...options }),
  );
  const owned = parts.move();
  return { gateway, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

const GET = "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

/** Each request over a connection of its own, so that the kernel spreads them over the workers. */
async function askMany(gateway: GatewayUnderTest, count: number, bytes = GET): Promise<number[]> {
  const statuses: number[] = [];
  for (let left = count; left > 0; left -= 20) {
    const asked = Array.from({ length: Math.min(20, left) }, () => gateway.ask(bytes));
    statuses.push(...(await Promise.all(asked)).map(({ status }) => status));
  }
  return statuses;
}

/** The lives of the workers that served, read from the connection numbers in the log. */
async function livesThatServed(gateway: GatewayUnderTest, requests: number): Promise<Set<number>> {
  const lines = await gateway.loggedAtLeast("request", requests);
  return new Set(lines.map(({ connection }) => Math.floor(Number(connection) / 2 ** 32)));
}

describe("workers", () => {
  test("a limit of 100 is 100 over all of them", async () => {
    await using parts = await start({
      routes: [
        { path: "/**", limits: [{ kind: "window", limit: 100, seconds: 600, per: "address" }] },
      ],
    });
    const statuses = await askMany(parts.gateway, 160);
    assert.equal(statuses.filter((status) => status === 200).length, 100);
    assert.equal(statuses.filter((status) => status === 429).length, 60);
    assert.deepEqual(await livesThatServed(parts.gateway, 160), new Set([1, 2]));
  });

  test("a worker that dies is replaced within a second, and what was spent stays spent", async () => {
    await using parts = await start({
      routes: [
        { path: "/**", limits: [{ kind: "window", limit: 40, seconds: 600, per: "address" }] },
      ],
    });
    const { gateway } = parts;
    assert.equal((await askMany(gateway, 30)).filter((status) => status === 200).length, 30);
    const thread = gateway.threads[0];
    assert.ok(thread !== undefined);
    const endedMs = performance.now();
    await thread.terminate();
    await waitFor(async () => (await gateway.loggedAtLeast("worker.started", 3)).length === 3, {
      what: "the new worker",
      deadlineMs: 5_000,
    });
    assert.ok(performance.now() - endedMs < 2_000, "it took too long");
    const [failed] = await gateway.logged("worker.failed");
    assert.equal(failed?.["worker"], 0);
    const statuses = await askMany(gateway, 30);
    assert.equal(statuses.filter((status) => status === 200).length, 10);
  });

  test("slots that a worker held when it died are free at once, not when they expire", async () => {
    await using upstream = await startUpstream({
      onRequest(request, response) {
        if (request.target !== "/slow") response.end("done");
      },
    });
    await using gateway = await startGateway({
      targets: [upstream.url],
      threads: 2,
      routes: [{ path: "/**", limits: [{ kind: "concurrency", limit: 2, per: "address" }] }],
    });
    const held = [0, 1].map(() => gateway.ask(GET.replace("/", "/slow")).catch(() => undefined));
    await upstream.requestAt(1);
    assert.equal((await gateway.ask(GET)).status, 429);
    // Whoever of the two held them: both die.
    const ended = gateway.threads.map(async (thread) => thread?.terminate());
    await Promise.all(ended);
    await gateway.loggedAtLeast("worker.started", 4);
    assert.equal((await gateway.ask(GET)).status, 200);
    await Promise.all(held);
  });

  test("wrong passwords are counted for the machine, and a good one is known to all", async () => {
    await using folder = await tempFolder();
    const file = folder.file("users.json");
    await setUser({
      path: file,
      fileName: "people",
      user: "ada",
      password: "a good long password",
      scopes: [],
      random: systemRandom,
    });
    await using parts = await start({
      identity: { people: { kind: "users-file", file } },
      routes: [{ path: "/**", auth: { by: ["people"] } }],
    });
    const { gateway } = parts;
    const as = (pair: string): string =>
      GET.replace(
        "Connection",
        `Authorization: Basic ${Buffer.from(pair).toString("base64")}\r\nConnection`,
      );
    const good = await askMany(gateway, 20, as("ada:a good long password"));
    assert.deepEqual(new Set(good), new Set([200]));
    assert.deepEqual(await livesThatServed(gateway, 20), new Set([1, 2]));
    const guesses: number[] = [];
    for (let guess = 0; guess < 12; guess++)
      guesses.push((await gateway.ask(as(`grace:guess ${guess}`))).status);
    // Counted by each worker alone, twice as many would have been looked at before the first 429.
    const looked = guesses.indexOf(429);
    assert.ok(looked > 0 && looked <= 6, `answers were ${guesses.join()}`);
  });

  test("the cap of connections is the process's", async () => {
    await using parts = await start({ listen: { maxConnections: 10 } });
    const { gateway } = parts;
    await using open = new AsyncDisposableStack();
    let refused = 0;
    for (let count = 0; count < 16; count++) {
      const client = open.use(await gateway.connect());
      await client.write("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
      const status = await readAnswer(client).then(
        ({ status: got }) => got,
        () => 0,
      );
      if (status === 0) refused += 1;
    }
    assert.equal(refused, 6);
  });

  test("stops in stages: a running answer ends, then both workers do", async () => {
    const { promise: asked, resolve: reached } = Promise.withResolvers<void>();
    const { promise: release, resolve: answerNow } = Promise.withResolvers<void>();
    await using upstream = await startUpstream({
      async onRequest(_, response) {
        reached();
        await release;
        response.end("late");
      },
    });
    await using gateway = await startGateway({
      targets: [upstream.url],
      threads: 2,
      drainTimeoutMs: 10_000,
    });
    const answer = gateway.ask(GET);
    await asked;
    const stopped = gateway.gateway.stop("test");
    await gateway.loggedAtLeast("gateway.draining", 1);
    answerNow();
    assert.equal((await answer).body.toString(), "late");
    await stopped;
    const [last] = await gateway.logged("gateway.stopped");
    assert.equal(last?.["requestsCut"], 0);
    await assert.rejects(gateway.connect());
  });
});

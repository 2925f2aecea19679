import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, test } from "node:test";
import { setTimeout as pass } from "node:timers/promises";
import {
  startProcess,
  startRedis,
  tempFolder,
  waitFor,
  type RunningProcess,
} from "@tidegate/testkit";
import { worstWindow, type Admission } from "../src/limit-oracle.ts";

// Real nodes, a real server, real time, and what kills them. The oracle reads what the nodes printed.

const definition = { kind: "window", name: "w", limit: 200, seconds: 1 } as const;
/** A call that waited was decided at the server up to this long before its line. */
const BUDGET_MS = 45;

function startNode(
  url: string,
  options: Readonly<Record<string, unknown>> = {},
): Promise<RunningProcess> {
  const parameters = { url, definition, whenStoreLost: "deny", callsPerTick: 3, ...options };
  return startProcess({
    args: [join(import.meta.dirname, "redis-node.ts"), JSON.stringify(parameters)],
    readyWhen: /^s up/m,
  });
}

function admissionsOf(...nodes: readonly RunningProcess[]): Admission[] {
  return nodes
    .flatMap((node) => Array.from(node.stdout().matchAll(/^a (\S+) (\d+)$/gm)))
    .map(([, atMs, cost]) => ({ atMs: Number(atMs), cost: Number(cost) }))
    .toSorted((a, b) => a.atMs - b.atMs);
}

function countsOf(node: RunningProcess) {
  const lines = node.stdout().match(/^c .*$/gm) ?? [];
  return JSON.parse(lines.at(-1)!.slice(2));
}

function assertNeverOver(log: readonly Admission[], least: number): void {
  const total = log.reduce((sum, { cost }) => sum + cost, 0);
  assert.ok(total >= least, `only ${total} were admitted`);
  const worst = worstWindow(log, definition.seconds * 1000 - BUDGET_MS);
  assert.ok(worst <= definition.limit, `${worst} of ${definition.limit}`);
}

/** Units that `node` was given since it had printed `from` characters. */
const admittedSince = (node: RunningProcess, from: number): number =>
  (node.stdout().slice(from).match(/^a /gm) ?? []).length;

describe("two nodes that share 200 a second", { concurrency: true }, () => {
  test("a node frozen across its lease spends nothing of it when it wakes", async () => {
    await using redis = await startRedis();
    await using one = await startNode(redis.url);
    await using other = await startNode(redis.url);
    for (let freeze = 0; freeze < 3; freeze++) {
      await pass(250);
      one.signal("SIGSTOP");
      await pass(600);
      one.signal("SIGCONT");
    }
    await pass(400);
    assertNeverOver(admissionsOf(one, other), 300);
  });

  test("what a killed node held is not granted twice, and comes back", async () => {
    await using redis = await startRedis();
    await using one = await startNode(redis.url);
    await using other = await startNode(redis.url);
    await pass(400);
    await one.stop({ signal: "SIGKILL" });
    await using next = await startNode(redis.url);
    await pass(1_500);
    assertNeverOver(admissionsOf(one, other, next), 400);
  });

  test("a server restarted without its data grants nothing until what it forgot is over; nodes say so", async () => {
    const redis = await startRedis();
    await using one = await startNode(redis.url, { whenEmpty: "learn" });
    await using other = await startNode(redis.url, { whenEmpty: "learn" });
    // A server that knows nothing may have forgotten something: the first second and a bit are learning too.
    await one.printed(/^a /m);
    await pass(500);
    await redis.process.stop({ signal: "SIGKILL" });
    await using again = await startRedis({ args: ["--port", String(redis.port)] });
    assert.ok(again.process.pid > 0);
    await one.printed(/s lost[^]*s up/);
    const from = one.stdout().length;
    await waitFor(() => admittedSince(one, from) + admittedSince(other, from) > 20, {
      what: "admissions after the loss",
      deadlineMs: 8_000,
    });
    await pass(700);
    assertNeverOver(admissionsOf(one, other), 300);
    assert.ok(countsOf(one).unavailable > 0 && countsOf(one).store.losses === 1);
    await redis[Symbol.asyncDispose]();
  });

  test("a server that kept every write goes on where it was", async () => {
    await using folder = await tempFolder();
    const durable = ["--dir", folder.path, "--appendonly", "yes", "--appendfsync", "always"];
    const redis = await startRedis({ args: durable });
    // A window that no crowded machine outlasts: what was spent before the restart counts until the test is over.
    const options = {
      whenRestarted: "trust",
      budgetMs: 2_000,
      definition: { ...definition, limit: 50, seconds: 600 },
    };
    await using node = await startNode(redis.url, options);
    await node.printed(/"refused":[1-9]/);
    await redis.process.stop();
    await using again = await startRedis({ args: ["--port", String(redis.port), ...durable] });
    assert.ok(again.process.pid > 0);
    await node.printed(/s lost[^]*s up/);
    await using other = await startNode(redis.url, options);
    await other.printed(/"refused":[1-9]/);
    assert.deepEqual(admissionsOf(other), [], "all 50 were spent before the restart");
    const log = admissionsOf(node);
    assert.equal(
      log.reduce((sum, { cost }) => sum + cost, 0),
      50,
    );
    await redis[Symbol.asyncDispose]();
  });

  test("SCRIPT FLUSH under load is not noticed by any call", async () => {
    await using redis = await startRedis();
    await using node = await startNode(redis.url, { budgetMs: 2_000 });
    await node.printed(/^c /m);
    const before = countsOf(node);
    for (let flush = 0; flush < 10; flush++) {
      await pass(50);
      await using cli = await startProcess({
        command: "redis-cli",
        args: ["-p", String(redis.port), "SCRIPT", "FLUSH"],
      });
      await cli.exited();
    }
    await pass(400);
    const { unavailable, store } = countsOf(node);
    assert.equal(unavailable, before.unavailable);
    assert.ok(store.reloaded >= 2, `loaded ${store.reloaded} times`);
    assertNeverOver(admissionsOf(node), 150);
  });
});

import assert from "node:assert/strict";
import { fork } from "node:child_process";
import { once } from "node:events";
import { readFileSync, statSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { DatabaseSync } from "node:sqlite";
import { describe, test } from "node:test";
import { startProcess, tempFolder, type RunningProcess, type TempFolder } from "@tidegate/testkit";
import { WebSocket } from "ws";
import { gatewayStandIn, type GatewayStandIn } from "./gateway-stand-in.ts";

const MAIN = fileURLToPath(new URL("../src/main.ts", import.meta.url));

type Environment = Record<string, string>;

function environmentOf(folder: TempFolder, gateway: GatewayStandIn): Environment {
  return {
    TASKS_PORT: "0",
    TASKS_DATABASE: folder.file("data", "tasks.sqlite"),
    TASKS_GATEWAY_URL: gateway.url,
  };
}

async function serve(env: Environment): Promise<RunningProcess & { url: string }> {
  const running = await startProcess({ args: [MAIN], env, readyWhen: "tasks.listening" });
  const line = running
    .stdout()
    .split("\n")
    .find((text) => text.includes("tasks.listening"));
  return Object.assign(running, { url: String(JSON.parse(line ?? "{}").url) });
}

async function run(
  args: string[],
  env: Environment,
): Promise<{ code: number | null; output: string }> {
  await using running = await startProcess({ args: [MAIN, ...args], env });
  const { code } = await running.exited();
  return { code, output: running.output() };
}

const as = (gateway: GatewayStandIn, person: string): Record<string, string> => ({
  "tidegate-assertion": gateway.assertion(person),
  "content-type": "application/json",
});

describe("the process", () => {
  test("serves, keeps what it acknowledged when it is killed, and stops on SIGTERM with code 0", async () => {
    await using folder = await tempFolder();
    await using gateway = await gatewayStandIn();
    const env = environmentOf(folder, gateway);
    const made: string[] = [];
    {
      await using first = await serve(env);
      for (const title of ["a", "b", "c"]) {
        const answer = await fetch(`${first.url}/tasks`, {
          method: "POST",
          headers: as(gateway, "ada"),
          body: JSON.stringify({ title }),
        });
        made.push(((await answer.json()) as { id: string }).id);
      }
      await first.stop({ signal: "SIGKILL" });
    }
    assert.equal(statSync(env["TASKS_DATABASE"] ?? "").mode & 0o777, 0o600);
    assert.equal(statSync(folder.file("data")).mode & 0o777, 0o700);
    await using second = await serve(env);
    for (const id of made) {
      const answer = await fetch(`${second.url}/tasks/${id}`, { headers: as(gateway, "ada") });
      assert.equal(answer.status, 200);
    }
    const { "tidegate-assertion": token = "" } = as(gateway, "ada");
    const feed = new WebSocket(`${second.url.replace("http", "ws")}/tasks/live`, {
      headers: { "tidegate-assertion": token },
    });
    await once(feed, "message");
    const closed = once(feed, "close");
    const stopping = second.stop();
    const [code, reason] = await closed;
    assert.equal(code, 4512);
    assert.equal(String(reason), "draining;retryAfter=2");
    assert.deepEqual(await stopping, { code: 0, signal: null });
    assert.ok(!second.output().includes(token), "no assertion in the log");
    assert.match(second.output(), /"event":"service.stopped","isComplete":true/);
  });

  test("tells its parent that it is ready, and stops when the parent goes", async () => {
    await using folder = await tempFolder();
    await using gateway = await gatewayStandIn();
    const child = fork(MAIN, { env: environmentOf(folder, gateway), stdio: "ignore" });
    try {
      const [message] = await once(child, "message");
      assert.equal(message.type, "ready");
      assert.equal((await fetch(`${message.url}/healthz`)).status, 200);
      const ended = once(child, "exit");
      child.disconnect();
      assert.deepEqual(await ended, [0, null]);
    } finally {
      child.kill("SIGKILL");
    }
  });

  test("backs up while it serves: a whole, private copy that never replaces a file", async () => {
    await using folder = await tempFolder();
    await using gateway = await gatewayStandIn();
    const env = environmentOf(folder, gateway);
    await using running = await serve(env);
    const headers = as(gateway, "ada");
    const body = JSON.stringify({ title: "kept" });
    await fetch(`${running.url}/tasks`, { method: "POST", headers, body });

    const copy = folder.file("copy.sqlite");
    const done = await run(["backup", copy], env);
    assert.equal(done.code, 0, done.output);
    assert.equal(statSync(copy).mode & 0o777, 0o600);
    const before = readFileSync(copy);
    const again = await run(["backup", copy], env);
    assert.equal(again.code, 1);
    assert.match(again.output, /EEXIST/);
    assert.deepEqual(readFileSync(copy), before);
    {
      using database = new DatabaseSync(copy, { readOnly: true });
      assert.equal(database.prepare("select title from tasks").get()?.["title"], "kept");
    }

    // Served from the copy, a feed that knows the old sequence is told to read anew, and searching works.
    await using restored = await serve({ ...env, TASKS_DATABASE: copy });
    const feed = new WebSocket(`${restored.url.replace("http", "ws")}/tasks/live?since=1`, {
      headers,
    });
    const [message] = await once(feed, "message");
    assert.equal(JSON.parse(String(message)).type, "feed.resync");
    feed.terminate();
    const found = await fetch(`${restored.url}/tasks?q=kept`, { headers });
    assert.equal(((await found.json()) as { items: object[] }).items.length, 1);
  });

  test("ends with a message when it cannot begin", async () => {
    await using folder = await tempFolder();
    await using gateway = await gatewayStandIn();
    const port = new URL(gateway.url).port;
    const taken = await run([], { ...environmentOf(folder, gateway), TASKS_PORT: port });
    assert.equal(taken.code, 1);
    assert.match(taken.output, /EADDRINUSE/);
    assert.match((await run(["restore"], {})).output, /^Usage: /);
  });
});

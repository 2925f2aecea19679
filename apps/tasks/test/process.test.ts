import assert from "node:assert/strict";
import { fork } from "node:child_process";
import { once } from "node:events";
import { readFileSync, statSync, writeFileSync } from "node:fs";
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

  test("refuses to start with every mistake in one message", async () => {
    const { code, output } = await run([], {
      TASKS_PORT: "70000",
      TASKS_GATEWAY_URL: "localhost:8080",
      TASKS_LOG_LEVEL: "loud",
      TASKS_DATABSE: "/nowhere/secret",
    });
    assert.equal(code, 1);
    for (const name of [
      "TASKS_PORT",
      "TASKS_DATABASE is missing",
      "TASKS_GATEWAY_URL",
      "TASKS_LOG_LEVEL",
      "TASKS_DATABSE is not known",
    ]) {
      assert.ok(output.includes(name), output);
    }
    assert.ok(!output.includes("secret"), "values are not repeated");
    assert.ok(!/\n\s+at /.test(output), "a mistake of the operator is no stack trace");
  });

  test("refuses to listen beyond loopback unless told so by name, a newer database, and a taken port", async () => {
    await using folder = await tempFolder();
    await using gateway = await gatewayStandIn();
    const env = environmentOf(folder, gateway);
    const open = await run([], { ...env, TASKS_HOST: "0.0.0.0" });
    assert.equal(open.code, 1);
    assert.match(open.output, /TASKS_DANGEROUSLY_LISTEN_BEYOND_LOOPBACK/);

    const newer = folder.file("newer.sqlite");
    {
      using database = new DatabaseSync(newer);
      database.exec("pragma user_version = 99");
    }
    const refused = await run([], { ...env, TASKS_DATABASE: newer });
    assert.equal(refused.code, 1);
    assert.match(refused.output, /schema is version 99/);

    const port = new URL(gateway.url).port;
    const taken = await run([], { ...env, TASKS_PORT: port });
    assert.equal(taken.code, 1);
    assert.match(taken.output, /EADDRINUSE/);

    writeFileSync(folder.file("not-a-database"), "hello, this is no database at all");
    const odd = await run([], { ...env, TASKS_DATABASE: folder.file("not-a-database") });
    assert.equal(odd.code, 1);
    assert.match(odd.output, /not a database/);
  });
});

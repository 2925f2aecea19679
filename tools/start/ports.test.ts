import assert from "node:assert/strict";
import { statSync } from "node:fs";
import { once } from "node:events";
import { createServer } from "node:net";
import { test } from "node:test";
import { startRawServer, tempFolder } from "@tidegate/testkit";
import { reservePorts } from "./ports.ts";

const FREE = { gateway: 0, admin: 0, identity: 0 };

test("reservePorts() finds six different ports and remembers them", async () => {
  await using folder = await tempFolder();
  const config = { dataFolder: folder.path, ports: FREE };
  const first = await reservePorts(config, { patienceMs: 0 });
  assert.equal(new Set(Object.values(first)).size, 6);
  assert.deepEqual(await reservePorts(config, { patienceMs: 0 }), first);
  assert.equal(statSync(folder.file("ports.json")).mode & 0o777, 0o600);
});

test("reservePorts() replaces a remembered port that somebody else took", async () => {
  await using folder = await tempFolder();
  const config = { dataFolder: folder.path, ports: FREE };
  const first = await reservePorts(config, { patienceMs: 0 });
  await using taker = createServer();
  taker.listen(first.tasks, "127.0.0.1");
  await once(taker, "listening");
  const next = await reservePorts(config, { patienceMs: 0 });
  assert.notEqual(next.tasks, first.tasks);
  assert.deepEqual({ ...next, tasks: 0 }, { ...first, tasks: 0 });
});

test("reservePorts() names the variable of a port that is in use", async () => {
  await using folder = await tempFolder();
  await using server = await startRawServer();
  await assert.rejects(
    reservePorts(
      { dataFolder: folder.path, ports: { ...FREE, gateway: server.port } },
      { patienceMs: 0 },
    ),
    new RegExp(`port ${server.port} is in use.*set TIDEGATE_PORT`),
  );
});

test("reservePorts() waits for a port that is about to be free", async () => {
  await using folder = await tempFolder();
  const server = await startRawServer();
  const reserved = reservePorts(
    { dataFolder: folder.path, ports: { ...FREE, gateway: server.port } },
    { patienceMs: 10_000 },
  );
  await server[Symbol.asyncDispose]();
  assert.equal((await reserved).gateway, server.port);
});

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { describe, test } from "node:test";
import { folderWith, startTidegate } from "./cli-process.ts";

// `tidegate start` as a process of its own: ready, signals, the channel to its starter, and what it says when it fails.

async function upstream(answer: (server: Server) => void = () => {}) {
  const server = createServer((request, response) => {
    if (request.url === "/hang") answer(server);
    else response.end(`service saw ${request.url}`);
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return {
    port,
    server,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

const config = (port: number): string => `
  import { bucket, defineGateway, perSecond } from "tidegate";
  export default defineGateway({
    listen: { port: 0 },
    admin: { port: 0 },
    upstreams: { service: { targets: ["http://127.0.0.1:${port}"] } },
    routes: [{ path: "/**", to: "service", auth: "none",
      limits: [bucket({ rate: perSecond(100), burst: 100, per: "address" })] }],
  });`;

async function started(port: number) {
  const folder = await folderWith({ "tidegate.config.ts": config(port) });
  const gateway = startTidegate(join(folder.path, "tidegate.config.ts"), { cwd: "/" });
  return {
    gateway,
    async [Symbol.asyncDispose]() {
      await gateway[Symbol.asyncDispose]();
      await folder.remove();
    },
  };
}

describe("tidegate start", { timeout: 60_000 }, () => {
  test("runs a configuration outside the checkout and stops in order on SIGTERM", async () => {
    await using service = await upstream();
    await using run = await started(service.port);
    const { type, url, adminUrl } = await run.gateway.ready;
    assert.equal(type, "ready");
    const answer = await fetch(`${url}/hello`);
    assert.equal(await answer.text(), "service saw /hello");
    const line = await run.gateway.seen("tidegate.listening");
    assert.deepEqual([line["url"], line["adminUrl"]], [url, adminUrl]);
    run.gateway.child.kill("SIGTERM");
    const { code, out } = await run.gateway.ended;
    assert.equal(code, 0);
    const events = out
      .split("\n")
      .map((text) => /"event":"(tidegate\.[^"]+)"/.exec(text)?.[1])
      .filter((event) => event !== undefined);
    assert.deepEqual(events, ["tidegate.listening", "tidegate.stopping", "tidegate.stopped"]);
  });

  test("stops when the channel to its starter closes", async () => {
    await using service = await upstream();
    await using run = await started(service.port);
    await run.gateway.ready;
    run.gateway.child.disconnect();
    assert.equal((await run.gateway.seen("tidegate.stopping"))["reason"], "starter gone");
    assert.equal((await run.gateway.ended).code, 0);
  });

  test("keeps running on SIGHUP and says why", async () => {
    await using service = await upstream();
    await using run = await started(service.port);
    const { url } = await run.gateway.ready;
    run.gateway.child.kill("SIGHUP");
    await run.gateway.seen("tidegate.reload_not_offered");
    assert.equal((await fetch(`${url}/still`)).status, 200);
  });

  test("waits for a running request on the first SIGINT and ends at once on the second", async () => {
    const arrived = Promise.withResolvers<void>();
    await using service = await upstream(() => arrived.resolve());
    await using run = await started(service.port);
    const { url } = await run.gateway.ready;
    const hanging = fetch(`${url}/hang`).then(
      () => "answered",
      () => "cut",
    );
    await arrived.promise;
    run.gateway.child.kill("SIGINT");
    await run.gateway.seen("tidegate.stopping");
    run.gateway.child.kill("SIGINT");
    assert.equal((await run.gateway.ended).code, 1);
    assert.equal(await hanging, "cut");
  });

  test("ends with 1 and one line when the port is taken", async () => {
    await using service = await upstream();
    const text = config(service.port).replace("port: 0", `port: ${service.port}`);
    await using folder = await folderWith({ "tidegate.config.ts": text });
    await using gateway = startTidegate("tidegate.config.ts", { cwd: folder.path });
    const { code, err, out } = await gateway.ended;
    assert.equal(code, 1);
    assert.match(err, new RegExp(`^Cannot start: .*${service.port}`));
    assert.doesNotMatch(out, /tidegate\.listening/);
  });

  test("ends with 1 and every mistake when the configuration is wrong", async () => {
    await using folder = await folderWith({
      "tidegate.config.yaml": "listen: { port: x }\nroute: 1\n",
    });
    await using gateway = startTidegate(folder.path, { cwd: "/" });
    const { code, err } = await gateway.ended;
    assert.equal(code, 1);
    assert.match(err, /3 mistakes/);
    assert.match(err, /line 1, column 17: listen\.port = "x"/);
    assert.match(err, /line 2, column 1: route\n.*did you mean `routes`\?/);
  });
});

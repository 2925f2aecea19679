import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { systemClock, systemRandom } from "@tidegate/clock";
import { rawConnection, readAnswer, tempFolder, waitFor } from "@tidegate/testkit";
import { createAdminListener, type AdminListener } from "../src/admin/admin-listener.ts";
import { loadAdminToken } from "../src/admin/admin-token.ts";
import type { Readiness } from "../src/admin/readiness.ts";
import { createLogger } from "../src/record/logger.ts";

interface Opened extends AsyncDisposable {
  readonly port: number;
  readonly token: string;
  readonly listener: AdminListener;
  readonly lines: () => Promise<string>;
  parts: readonly Readiness[];
}

async function open(
  limits: Parameters<typeof createAdminListener>[0]["limits"] = {},
  port = 0,
): Promise<Opened> {
  const folder = await tempFolder();
  const token = await loadAdminToken(folder.path, systemRandom);
  let written = "";
  const log = createLogger({
    level: "info",
    destination: {
      write(chunk, done) {
        written += chunk.toString("utf8");
        queueMicrotask(() => done(undefined));
      },
      close: () => undefined,
    },
    maxBufferedBytes: 1_000_000,
    clock: systemClock,
  });
  const listener = createAdminListener({
    config: { host: "127.0.0.1", port },
    token,
    metrics: () => "# HELP a b\n# TYPE a gauge\na 1\n",
    limitOverview: () => [{ name: "reads" }],
    readiness: () => opened.parts,
    revocations: {
      revoke: () => Promise.reject(new Error("not asked here")),
      list: () => [],
      issuerOf: () => Promise.resolve(undefined),
      nowSeconds: () => 0,
    },
    log,
    clock: systemClock,
    limits,
  });
  const opened: Opened = {
    port: Number(new URL(await listener.listen()).port),
    token: (await readFile(token.file, "utf8")).trim(),
    listener,
    parts: [{ name: "upstream bank", isReady: true, detail: "" }],
    async lines() {
      await log.flush(1_000);
      return written;
    },
    async [Symbol.asyncDispose]() {
      await listener.close();
      await folder[Symbol.asyncDispose]();
    },
  };
  return opened;
}

/** Sends a head (with `\r\n` line ends and the closing empty line added) and reads the answer to its end. */
async function ask(port: number, ...head: string[]) {
  await using connection = await rawConnection(port);
  await connection.write(`${head.join("\r\n")}\r\n\r\n`);
  return await readAnswer(connection);
}

const close = "Connection: close";

test("a page that rebinds its name reads nothing, not even health and not with the token", async () => {
  await using admin = await open();
  const authorization = `Authorization: Bearer ${admin.token}`;
  for (const path of ["/", "/metrics", "/healthz", "/readyz", "/nothing"]) {
    for (const host of ["evil.example", `evil.example:${admin.port}`, "127.0.0.1.nip.io"]) {
      const answer = await ask(
        admin.port,
        `GET ${path} HTTP/1.1`,
        `Host: ${host}`,
        authorization,
        close,
      );
      assert.equal(answer.status, 421);
    }
  }
  const two = await ask(
    admin.port,
    "GET /metrics HTTP/1.1",
    "Host: localhost",
    "Host: evil.example",
    authorization,
  );
  assert.ok(two.status === 400 || two.status === 421);
  const none = await ask(admin.port, "GET /metrics HTTP/1.0", authorization);
  assert.equal(none.status, 421);
  const absolute = await ask(
    admin.port,
    "GET http://evil.example/metrics HTTP/1.1",
    "Host: localhost",
    authorization,
  );
  assert.equal(absolute.status, 400);
});

test("a missing, wrong or doubled token gets 401 with a challenge, and never says more", async () => {
  await using admin = await open();
  const wrong = [
    undefined,
    "Bearer",
    "Bearer ",
    "Bearer x",
    `Bearer ${admin.token}x`,
    `Bearer ${admin.token.slice(1)}`,
    `Bearer  ${admin.token}`,
    `Bearer ${admin.token} ${admin.token}`,
    `Basic ${admin.token}`,
    admin.token,
    `Bearer ${"a".repeat(5_000)}`,
  ];
  for (const value of wrong) {
    for (const path of ["/metrics", "/", "/no-such-path"]) {
      const answer = await ask(
        admin.port,
        `GET ${path} HTTP/1.1`,
        "Host: localhost",
        ...(value === undefined ? [] : [`Authorization: ${value}`]),
      );
      assert.equal(answer.status, 401, `${path} ${value}`);
      assert.match(answer.field("www-authenticate") ?? "", /^Bearer realm="tidegate admin"/);
      assert.equal(answer.field("access-control-allow-origin"), undefined);
    }
  }
  const twice = await ask(
    admin.port,
    "GET /metrics HTTP/1.1",
    "Host: localhost",
    `Authorization: Bearer ${admin.token}`,
    "Authorization: Bearer x",
  );
  assert.notEqual(twice.status, 200);
  const lines = await admin.lines();
  assert.match(lines, /"event":"admin.refused"/);
  assert.ok(!lines.includes(admin.token.slice(1)));
});

test("the token opens the index and the metrics", async () => {
  await using admin = await open();
  const authorization = `Authorization: bearer ${admin.token}`;
  const metrics = await ask(
    admin.port,
    "GET /metrics?x=1 HTTP/1.1",
    `Host: localhost:${admin.port}`,
    authorization,
    close,
  );
  assert.equal(metrics.status, 200);
  assert.match(metrics.field("content-type") ?? "", /^text\/plain; version=0.0.4/);
  assert.equal(metrics.field("cache-control"), "no-store");
  assert.match(metrics.body.toString(), /^a 1$/m);
  const index = await ask(admin.port, "GET / HTTP/1.1", "Host: [::1]", authorization, close);
  assert.ok("/metrics" in JSON.parse(index.body.toString()).endpoints);
  const unknown = await ask(admin.port, "GET /x HTTP/1.1", "Host: localhost", authorization);
  assert.equal(unknown.status, 404);
});

test("health and readiness need no token, and readiness says which part is not ready", async () => {
  await using admin = await open();
  const health = await ask(admin.port, "GET /healthz HTTP/1.1", "Host: 127.0.0.1", close);
  assert.equal(health.status, 200);
  const ready = await ask(admin.port, "GET /readyz HTTP/1.1", "Host: 127.0.0.1", close);
  assert.equal(ready.status, 200);
  admin.parts = [...admin.parts, { name: "issuer people", isReady: false, detail: "no keys yet" }];
  const not = await ask(admin.port, "GET /readyz HTTP/1.1", "Host: 127.0.0.1", close);
  assert.equal(not.status, 503);
  const { status, parts } = JSON.parse(not.body.toString());
  assert.equal(status, "not-ready");
  assert.deepEqual(parts[1], { name: "issuer people", isReady: false, detail: "no keys yet" });
});

test("only GET and HEAD are served, without a body and without an upgrade", async () => {
  await using admin = await open();
  const authorization = `Authorization: Bearer ${admin.token}`;
  const post = await ask(admin.port, "POST /metrics HTTP/1.1", "Host: localhost", authorization);
  assert.equal(post.status, 405);
  assert.equal(post.field("allow"), "GET, HEAD");
  const body = await ask(
    admin.port,
    "GET /healthz HTTP/1.1",
    "Host: localhost",
    "Content-Length: 1000000",
  );
  assert.equal(body.status, 413);
  await using upgrade = await rawConnection(admin.port);
  await upgrade.write(
    "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
  );
  await upgrade.ended();
  await using head = await rawConnection(admin.port);
  await head.write(`HEAD /healthz HTTP/1.1\r\nHost: localhost\r\n${close}\r\n\r\n`);
  const text = (await head.readToEnd()).toString();
  assert.match(text, /^HTTP\/1\.1 200 /);
  assert.ok(text.endsWith("\r\n\r\n"));
});

test("huge fields are refused while they arrive", async () => {
  await using admin = await open();
  await using connection = await rawConnection(admin.port);
  await connection.write(`GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: ${"a".repeat(20_000)}`);
  assert.match((await connection.readToEnd()).toString(), /^HTTP\/1\.1 431 /);
});

test("a head that trickles in is given up, while others are served", async () => {
  await using admin = await open({
    headersTimeoutMs: 300,
    requestTimeoutMs: 300,
    checkIntervalMs: 50,
  });
  await using slow = await rawConnection(admin.port);
  await slow.write("GET /healthz HTTP/1.1\r\nHost: local");
  const health = await ask(admin.port, "GET /healthz HTTP/1.1", "Host: localhost", close);
  assert.equal(health.status, 200);
  assert.match((await slow.readToEnd()).toString(), /^HTTP\/1\.1 408 /);
});

test("connections beyond the bound are closed, and the bound frees itself", async () => {
  await using admin = await open({ maxConnections: 2 });
  const held = [await rawConnection(admin.port), await rawConnection(admin.port)];
  await using third = await rawConnection(admin.port);
  await third.ended();
  for (const connection of held) await connection[Symbol.asyncDispose]();
  await waitFor(
    async () => {
      const answer = await ask(admin.port, "GET /healthz HTTP/1.1", "Host: localhost", close);
      return answer.status === 200;
    },
    { what: "a free connection" },
  );
});

test("listen() says which port is taken", async () => {
  await using admin = await open();
  await assert.rejects(
    open({}, admin.port),
    new RegExp(`Cannot open the admin listener on 127.0.0.1:${admin.port}: the port is taken`),
  );
});

test("close() ends at its deadline although a client holds on", async () => {
  await using admin = await open({ closeDeadlineMs: 50 });
  await using held = await rawConnection(admin.port);
  await held.write("GET /healthz HTTP/1.1\r\n");
  // The server has seen the connection once it answers another one.
  await ask(admin.port, "GET /healthz HTTP/1.1", "Host: localhost", close);
  await admin.listener.close();
  await held.ended();
});

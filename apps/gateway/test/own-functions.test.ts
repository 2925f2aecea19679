// Functions of the configuration, on the main thread and on workers.

import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { describe, test } from "node:test";
import type { Worker } from "node:worker_threads";
import { rawConnection, readAnswer, startUpstream, tempFolder, waitFor } from "@tidegate/testkit";
import * as threadDoor from "../src/config/thread-door.ts";
import { loadConfig, validateConfig } from "../src/config/load-config.ts";
import { createGateway } from "../src/gateway.ts";
import type { Caller } from "../src/judge/caller.ts";
import { get, readProblem, startGateway } from "./http-harness.ts";
import { handshake, masked, openClient, startRawUpstream } from "./socket-harness.ts";

const close = "Connection: close";

/** A folder with `tidegate.config.ts`, whose limit `per` is the expression, and further files. */
async function written(options: {
  readonly upstream: string;
  readonly threads: number;
  readonly per: string;
  readonly head?: string;
  readonly files?: Readonly<Record<string, string>>;
}) {
  const folder = await tempFolder();
  for (const [name, text] of Object.entries(options.files ?? {}))
    await writeFile(folder.file(name), text);
  const file = folder.file("tidegate.config.ts");
  const text = `
    import { defineGateway, window, type Caller } from "tidegate";
    ${options.head ?? ""}
    export default defineGateway({
      listen: { port: 0 }, admin: { port: 0 }, threads: ${options.threads}, dataFolder: "data",
      record: { destination: ${JSON.stringify(folder.file("log"))} },
      upstreams: { service: { targets: ["${options.upstream}"] } },
      routes: [{ path: "/**", to: "service", auth: "none",
        limits: [window({ limit: 3, seconds: 600, name: "tenants", per: ${options.per} })] }],
    });`;
  await writeFile(file, text);
  return { ...folder, file, text, logFile: folder.file("log") };
}

/** What is written runs until it is disposed. */
async function start(file: string) {
  const { config } = await loadConfig(file, { environment: {} });
  const threads: Worker[] = [];
  const gateway = createGateway(config, {
    observeThread: (thread, worker) => void (threads[worker] = thread),
  });
  const { port } = await gateway.start();
  return {
    threads,
    async status(fields: readonly string[]) {
      await using client = await rawConnection(port);
      await client.write(get("/", [...fields, close]));
      return (await readAnswer(client)).status;
    },
    [Symbol.asyncDispose]: () => gateway[Symbol.asyncDispose](),
  };
}

for (const threads of [0, 2]) {
  describe(`functions over ${threads} workers`, () => {
    test("callers with the same text share the limit, exactly, over all threads", async () => {
      await using upstream = await startUpstream();
      await using config = await written({
        upstream: upstream.url,
        threads,
        per: "tenant",
        head: 'import { tenant } from "./tenant.ts";',
        files: {
          "tenant.ts": `import type { Caller } from "tidegate";
            import { FIELD } from "./field.ts";
            export const tenant = (caller: Caller): string => caller.field(FIELD) ?? "";`,
          "field.ts": 'export const FIELD = "x-tenant";',
        },
      });
      await using gateway = await start(config.file);
      for (const tenant of ["one", "other", "o".repeat(10_000)]) {
        const statuses = await Promise.all(
          Array.from({ length: 12 }, () => gateway.status([`X-Tenant: ${tenant}`])),
        );
        assert.equal(statuses.filter((status) => status === 200).length, 3, tenant.slice(0, 9));
        assert.equal(statuses.filter((status) => status === 429).length, 9);
      }
    });

    test("one that throws or gives no text is a 500 that is logged, and nothing is admitted", async () => {
      await using upstream = await startUpstream();
      await using config = await written({
        upstream: upstream.url,
        threads,
        per: "wrong",
        head: `const wrong = (caller: Caller): string => {
          switch (caller.path) {
            case "/throws": throw new Error("no such tenant");
            case "/number": return 5 as never;
            case "/promise": return Promise.resolve("later") as never;
            default: return caller.network;
          }
        };`,
      });
      const { config: loaded } = await loadConfig(config.file, { environment: {} });
      await using gateway = createGateway(loaded);
      const { port } = await gateway.start();
      for (const path of ["/throws", "/number", "/promise"]) {
        await using client = await rawConnection(port);
        await client.write(get(path, [close]));
        const answer = await readAnswer(client);
        assert.equal(answer.status, 500, path);
        assert.match(readProblem(answer).type, /function-failed$/);
        assert.doesNotMatch(answer.body.toString(), /tenant|routes/);
      }
      await using client = await rawConnection(port);
      await client.write(get("/right", [close]));
      assert.equal((await readAnswer(client)).status, 200);
      assert.equal(upstream.requests.length, 1);
      const lines = await waitFor(
        async () => {
          const text = await readFile(config.logFile, "utf8");
          const found = text.split("\n").filter((line) => line.includes('"function.failed"'));
          return found.length === 3 ? found : undefined;
        },
        { what: "three lines" },
      );
      assert.match(lines.join("\n"), /routes\[0\]\.limits\[0\]\.per threw Error: no such tenant/);
      assert.match(lines.join("\n"), /gave a number, not text/);
      assert.match(lines.join("\n"), /gave an object, not text/);
    });
  });
}

describe("functions on worker threads", () => {
  test("a worker that starts again runs what the gateway was started with, not what the file holds by now", async () => {
    await using upstream = await startUpstream();
    await using config = await written({
      upstream: upstream.url,
      threads: 1,
      per: '(caller: Caller) => caller.field("x-tenant") ?? ""',
    });
    await using gateway = await start(config.file);
    for (const tenant of ["one", "one", "one"])
      assert.equal(await gateway.status([`X-Tenant: ${tenant}`]), 200);
    await writeFile(config.file, config.text.replace("x-tenant", "x-nobody"));
    const [thread] = gateway.threads;
    await thread?.terminate();
    await waitFor(
      async () => gateway.threads[0] !== thread && (await gateway.status(["X-Tenant: two"])) > 0,
      { what: "the next life" },
    );
    assert.equal(await gateway.status(["X-Tenant: one"]), 429);
    assert.equal(await gateway.status(["X-Tenant: other"]), 200);
  });

  test("modules of every kind run on workers as they do here: JSON, CommonJS, JavaScript in a folder of either kind", async () => {
    await using upstream = await startUpstream();
    await using config = await written({
      upstream: upstream.url,
      threads: 1,
      per: "tenant",
      head: `import names from "./names.json" with { type: "json" };
        import old from "./old.cjs";
        import { prefix } from "./plain.mjs";
        import legacy from "./legacy.js";
        const tenant = (caller: Caller) =>
          prefix + legacy.mark + old.tenantOf(caller.field(names.field) ?? "");`,
      files: {
        "package.json": '{ "type": "commonjs" }',
        "names.json": '{ "field": "x-tenant" }',
        "old.cjs": "exports.tenantOf = (text) => text.toLowerCase();",
        "plain.mjs": 'export const prefix = "tenant ";',
        "legacy.js": 'module.exports = { mark: "# " };',
      },
    });
    await using gateway = await start(config.file);
    for (const [tenant, status] of [
      ["One", 200],
      ["ONE", 200],
      ["one", 200],
      ["oNe", 429],
      ["two", 200],
    ] as const)
      assert.equal(await gateway.status([`X-Tenant: ${tenant}`]), status, tenant);
  });

  test("a thread that would run other modules than the main thread refuses to start", async () => {
    await using upstream = await startUpstream();
    await using config = await written({
      upstream: upstream.url,
      threads: 1,
      per: "tenant",
      head: `import { isMainThread } from "node:worker_threads";
        const { tenant } = await import(isMainThread ? "./main.ts" : "./worker.ts");`,
      files: {
        "main.ts": 'export const tenant = (): string => "main";',
        "worker.ts": 'export const tenant = (): string => "worker";',
      },
    });
    await assert.rejects(start(config.file), /was not part of the configuration|other modules/);
  });

  test("import from `tidegate` by the same names as on the main thread", async () => {
    const names = async (path: string): Promise<string[]> =>
      Object.keys((await import(`../src/${path}`)) as object).toSorted();
    assert.deepEqual(await names("config/thread-door.ts"), await names("index.ts"));
    assert.throws(() => threadDoor.createGateway(), /on a worker thread/);
  });

  test("createGateway() says what to do when functions came from no file", async () => {
    await using folder = await tempFolder();
    const make = (threads: number) =>
      validateConfig(
        {
          threads,
          upstreams: { service: { targets: ["http://127.0.0.1:1"] } },
          routes: [
            {
              path: "/**",
              to: "service",
              auth: "none",
              limits: [
                { kind: "window", limit: 1, seconds: 1, per: ({ network }: Caller) => network },
              ],
            },
          ],
        },
        { folder: folder.path },
      ).config;
    assert.throws(
      () => createGateway(make(2)),
      /routes\[0\]\.limits\[0\]\.per is a function.*loadConfig\(file\).*`threads: 0`/,
    );
    assert.ok(createGateway(make(0)));
  });
});

describe("functions on sockets", () => {
  test("are asked once for a socket, however many messages it has, and a failure is 500", async () => {
    await using upstream = await startRawUpstream();
    let asked = 0;
    await using gateway = await startGateway({
      targets: [`http://127.0.0.1:${upstream.port}`],
      routes: [
        {
          path: "/live",
          websocket: {
            limits: [
              {
                kind: "window",
                limit: 2,
                seconds: 600,
                exceed: "drop",
                per: (caller: Caller) => {
                  asked++;
                  if (caller.field("x-fails") !== undefined) throw new Error("fails");
                  return caller.subject;
                },
              },
            ],
          },
        },
      ],
    });
    await using client = await openClient(gateway);
    await client.write(Buffer.concat(["1", "2", "3"].map((text) => masked(text))));
    await upstream.received(Buffer.concat([masked("1"), masked("2")]));
    assert.equal(asked, 1);
    // The next socket has the same text, and so nothing left.
    await using second = await openClient(gateway);
    await second.write(masked("4"));
    await waitFor(() => asked === 2, { what: "the second socket" });

    await using broken = await rawConnection(gateway.port);
    await broken.write(handshake(gateway.port, { "X-Fails": "yes" }));
    assert.equal((await readAnswer(broken)).status, 500);
    assert.equal(upstream.requests.length, 2);
    assert.equal((await gateway.loggedAtLeast("function.failed", 1)).length, 1);
  });
});

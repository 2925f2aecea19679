// Quotas, slots and shadow mode as a gateway uses them, and what a restart in order keeps.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { once } from "node:events";
import { startUpstream, tempFolder, waitFor } from "@tidegate/testkit";
import { WebSocket } from "ws";
import { limitsCommand } from "../src/cli/limits-command.ts";
import { get, startGateway, type GatewayUnderTest } from "./http-harness.ts";

const statuses = async (gateway: GatewayUnderTest, count: number): Promise<number[]> => {
  const all: number[] = [];
  for (let done = 0; done < count; done++) all.push((await gateway.ask(get("/"))).status);
  return all;
};

describe("limit kinds in the gateway", () => {
  for (const threads of [0, 2]) {
    test(`a quota is the calendar's, and a restart in order keeps what was spent (${threads} workers)`, async () => {
      await using folder = await tempFolder();
      await using upstream = await startUpstream();
      const options = {
        targets: [upstream.url],
        threads,
        dataFolder: folder.file("data"),
        routes: [
          {
            path: "/**",
            limits: [{ kind: "quota", limit: 5, period: "month", per: "address" } as const],
          },
        ],
      };
      {
        await using gateway = await startGateway(options);
        const answer = await gateway.ask(get("/"));
        assert.match(answer.field("ratelimit-policy") ?? "", /^"address-5-per-month";q=5/);
        assert.deepEqual(await statuses(gateway, 2), [200, 200]);
      }
      await using again = await startGateway(options);
      assert.deepEqual(await statuses(again, 3), [200, 200, 429]);
    });
  }

  test("slots are held until the answer ends, and by sockets until they end", async () => {
    const { promise: release, resolve: answerNow } = Promise.withResolvers<void>();
    await using upstream = await startUpstream({
      async onRequest(request, response) {
        if (request.target === "/slow") await release;
        response.end("done");
      },
    });
    await using gateway = await startGateway({
      targets: [upstream.url],
      routes: [
        { path: "/**", limits: [{ kind: "concurrency", limit: 1, per: "address" }] },
        {
          path: "/live",
          websocket: {},
          limits: [{ kind: "concurrency", limit: 1, per: "address" }],
        },
      ],
    });
    const slow = gateway.ask(get("/slow"));
    await upstream.requestAt(0);
    const second = await gateway.ask(get("/"));
    assert.equal(second.status, 429);
    assert.match(second.field("ratelimit-policy") ?? "", /qu="concurrent-requests"/);
    answerNow();
    assert.equal((await slow).status, 200);
    await waitFor(async () => (await gateway.ask(get("/"))).status === 200, {
      what: "the slot to come free",
    });

    const url = `ws://127.0.0.1:${gateway.port}/live`;
    const first = new WebSocket(url);
    await once(first, "open");
    const refused = new WebSocket(url);
    const [error] = (await once(refused, "error")) as [Error];
    assert.match(error.message, /429/);
    first.close();
    await once(first, "close");
    await waitFor(
      async () => {
        const next = new WebSocket(url);
        const opened = await Promise.race([
          once(next, "open").then(() => true),
          once(next, "error").then(() => false),
        ]);
        next.on("error", () => undefined);
        next.terminate();
        return opened;
      },
      { what: "the socket's slot to come free" },
    );
  });

  test("a limit in shadow mode refuses nobody, and numbers are proposed from what it saw", async () => {
    await using upstream = await startUpstream();
    await using gateway = await startGateway({
      targets: [upstream.url],
      threads: 2,
      routes: [
        {
          path: "/**",
          limits: [{ kind: "window", limit: 1, seconds: 60, per: "address", shadow: true }],
        },
      ],
    });
    assert.deepEqual(new Set(await statuses(gateway, 6)), new Set([200]));
    const lines: string[] = [];
    const terminal = {
      workingFolder: gateway.dataFolder,
      environment: {},
      print: (line: string) => void lines.push(line),
      complain: (line: string) => void lines.push(line),
      readSecret: () => Promise.resolve(""),
    };
    const call = {
      file: undefined,
      admin: gateway.adminUrl,
      tokenFile: "admin-token",
      isJson: false,
    };
    assert.equal(await limitsCommand(terminal, { ...call, action: "suggest" }), 0);
    assert.match(lines.join("\n"), /on \* \/\*\*: 5 calls would have been refused so far/);
    assert.equal(await limitsCommand(terminal, { ...call, action: "list" }), 0);
    assert.match(lines.join("\n"), /\(shadow\)/);
    assert.equal(await limitsCommand(terminal, { ...call, action: "sugest" }), 2);
    assert.match(lines.at(-1) ?? "", /did you mean `suggest`/);
  });
});

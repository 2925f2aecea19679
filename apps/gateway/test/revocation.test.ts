// What is revoked is refused on every worker from the moment the command returns, and what was open is ended.

import assert from "node:assert/strict";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, test } from "node:test";
import { issuer, startUpstream, tempFolder, waitFor, type Issuer } from "@tidegate/testkit";
import { WebSocket as WsClient } from "ws";
import { revokeCommand } from "../src/cli/revoke-command.ts";
import { readMaskedClose, switchingProtocols } from "./socket-harness.ts";
import {
  fastClock,
  get,
  readProblem,
  startGateway,
  type GatewayUnderTest,
} from "./http-harness.ts";

type Options = Parameters<typeof startGateway>[0];

const AUDIENCE = "https://api.test";
const routes: Options["routes"] = [
  { path: "/**", auth: { by: ["people"] } },
  { path: "/live", auth: { by: ["people"] }, websocket: {} },
];

const identityOf = ({ url }: Issuer): Options["identity"] => ({
  people: { kind: "oidc", issuer: url, audience: AUDIENCE },
});

const bearer = (token: string): string => `Authorization: Bearer ${token}`;

const statusOf = async (gateway: GatewayUnderTest, token: string): Promise<number> =>
  (await gateway.ask(get("/x", [bearer(token), "Connection: close"]))).status;

async function command(
  gateway: GatewayUnderTest,
  query: string,
  { token, method = "POST" }: { token?: string; method?: string } = {},
): Promise<Response> {
  const shown = token ?? (await readFile(join(gateway.dataFolder, "admin-token"), "utf8")).trim();
  return await fetch(new URL(`/revocations${query}`, gateway.adminUrl), {
    method,
    headers: { authorization: `Bearer ${shown}` },
  });
}

async function revoke(gateway: GatewayUnderTest, query: string): Promise<void> {
  const answer = await command(gateway, `?issuer=people&${query}`);
  assert.equal(answer.status, 200, await answer.text());
}

interface OpenSocket {
  readonly socket: WsClient;
  /** Close code and reason, once it has ended. */
  readonly closed: Promise<[number, string]>;
}

async function openSocket(gateway: GatewayUnderTest, token: string): Promise<OpenSocket> {
  const socket = new WsClient(`ws://localhost:${gateway.port}/live`, {
    headers: { authorization: `Bearer ${token}` },
  });
  const closed = once(socket, "close").then(
    ([code, reason]) => [code, String(reason)] as [number, string],
  );
  await once(socket, "open");
  return { socket, closed };
}

for (const threads of [0, 2]) {
  describe(`revocation over ${threads} workers`, () => {
    test("refuses a person's tokens everywhere, those refreshed later too, and nobody else's", async () => {
      await using people = await issuer();
      await using upstream = await startUpstream();
      await using gateway = await startGateway({
        targets: [upstream.url],
        threads,
        routes,
        identity: identityOf(people),
      });
      const [ada, again, grace] = await Promise.all([
        people.mint(),
        people.mint(),
        people.mint({ sub: "grace" }),
      ]);
      for (const token of [ada, again, grace]) assert.equal(await statusOf(gateway, token), 200);
      await revoke(gateway, "subject=ada");
      const signedIn = Math.floor(Date.now() / 1_000) - 60;
      const refreshed = await people.mint({ auth_time: signedIn, jti: "a new one" });
      const unsaid = await people.mint({ auth_time: undefined });
      // Connections go to any worker: none may be behind.
      for (let round = 0; round < 8; round++)
        for (const token of [ada, again, refreshed, unsaid])
          assert.equal(await statusOf(gateway, token), 401);
      assert.equal(await statusOf(gateway, grace), 200);
      const answer = await gateway.ask(get("/x", [bearer(ada)]));
      assert.match(answer.field("www-authenticate") ?? "", /error="invalid_token"/);
      assert.match(readProblem(answer).type, /session-revoked$/);
      assert.equal(upstream.requests.length, 4);
    });

    test("closes a person's sockets with 4410, on every worker, and lets the others be", async () => {
      await using people = await issuer();
      await using upstream = await startUpstream();
      await using gateway = await startGateway({
        targets: [upstream.url],
        threads,
        routes,
        identity: identityOf(people),
      });
      const [ada, grace] = await Promise.all([people.mint(), people.mint({ sub: "grace" })]);
      const open = (token: string) =>
        Promise.all(Array.from({ length: 10 }, () => openSocket(gateway, token)));
      const hers = await open(ada);
      const others = await open(grace);
      await revoke(gateway, "subject=ada");
      const ended = await Promise.all(hers.map(({ closed }) => closed));
      assert.deepEqual(new Set(ended.map(String)), new Set(["4410,session-revoked"]));
      for (const { socket } of others) {
        socket.send("still here");
        const [echo] = await once(socket, "message");
        assert.equal(String(echo), "still here");
        socket.terminate();
      }
    });

    test("by session and by token ends these and leaves the person's others", async () => {
      await using people = await issuer();
      await using upstream = await startUpstream();
      await using gateway = await startGateway({
        targets: [upstream.url],
        threads,
        routes,
        identity: identityOf(people),
      });
      const [one, other, stranger] = await Promise.all([
        people.mint({ sid: "session-1", jti: "token-1" }),
        people.mint({ sid: "session-2", jti: "token-2" }),
        people.mint({ sid: "session-2", jti: "token-3" }),
      ]);
      const socket = await openSocket(gateway, one);
      await revoke(gateway, "session=session-1");
      assert.equal((await socket.closed)[0], 4410);
      assert.equal(await statusOf(gateway, one), 401);
      assert.equal(await statusOf(gateway, other), 200);
      await revoke(gateway, "token=token-2");
      assert.equal(await statusOf(gateway, other), 401);
      assert.equal(await statusOf(gateway, stranger), 200);
    });

    test("holds over a restart, and for a worker that starts later", async () => {
      await using people = await issuer();
      await using upstream = await startUpstream();
      await using data = await tempFolder();
      const options = {
        targets: [upstream.url],
        threads,
        routes,
        identity: identityOf(people),
        dataFolder: data.file("data"),
      };
      const ada = await people.mint();
      {
        await using gateway = await startGateway(options);
        assert.equal(await statusOf(gateway, ada), 200);
        await revoke(gateway, "subject=ada");
        if (threads > 0) {
          const before = gateway.threads[0];
          await before?.terminate();
          await waitFor(() => gateway.threads[0] !== before, { what: "another worker" });
          await gateway.loggedAtLeast("worker.started", threads + 1);
          for (let round = 0; round < 10; round++) assert.equal(await statusOf(gateway, ada), 401);
        }
      }
      await using gateway = await startGateway(options);
      assert.equal(await statusOf(gateway, ada), 401);
      const { revocations } = (await (await command(gateway, "", { method: "GET" })).json()) as {
        revocations: Record<string, unknown>[];
      };
      assert.equal(revocations.length, 1);
      assert.partialDeepStrictEqual(revocations[0], {
        kind: "subject",
        issuer: people.url,
        name: "ada",
        source: "admin",
      });
    });

    test("ends a handshake that was being opened, before a byte of it passes", async () => {
      await using people = await issuer();
      const heard: Buffer[] = [];
      let accept: (() => void) | undefined;
      await using upstream = await startUpstream({
        onUpgrade: (request, socket) => {
          socket.on("data", (bytes: Buffer) => heard.push(bytes));
          socket.on("error", () => undefined);
          const [key = ""] = request.values("sec-websocket-key");
          accept = () => socket.write(switchingProtocols(key), "latin1");
        },
      });
      await using gateway = await startGateway({
        targets: [upstream.url],
        threads,
        routes,
        identity: identityOf(people),
      });
      const socket = new WsClient(`ws://localhost:${gateway.port}/live`, {
        headers: { authorization: bearer(await people.mint()).slice("Authorization: ".length) },
      });
      const closed = once(socket, "close");
      socket.once("open", () => socket.send("too late"));
      await waitFor(() => accept, { what: "the handshake at the upstream" });
      await revoke(gateway, "subject=ada");
      accept?.();
      assert.equal((await closed)[0], 4410);
      // Nothing but our own goodbye: a masked close frame.
      const bytes = Buffer.concat(heard);
      assert.deepEqual(bytes.length === 0 ? 1001 : readMaskedClose(bytes).code, 1001);
    });
  });
}

describe("revocation", () => {
  test("cuts an answer that has run for more than ten seconds, and leaves its end missing", async () => {
    await using people = await issuer();
    await using upstream = await startUpstream({
      onRequest(_request, response) {
        response.writeHead(200, { "content-type": "text/event-stream" });
        response.write("data: one\n\n");
      },
    });
    await using gateway = await startGateway({
      targets: [upstream.url],
      routes,
      identity: identityOf(people),
      clock: fastClock(20),
    });
    const [ada, grace] = await Promise.all([people.mint(), people.mint({ sub: "grace" })]);
    await using hers = await gateway.connect();
    await using others = await gateway.connect();
    await hers.write(get("/stream", [bearer(ada)]));
    await others.write(get("/stream", [bearer(grace)]));
    for (const client of [hers, others]) await client.readUntil("data: one\n\n");
    await revoke(gateway, "subject=ada");
    // Ten seconds of a clock that runs twenty times as fast. Without its last chunk nobody takes it for whole.
    const rest = await hers.readToEnd();
    assert.doesNotMatch(rest.toString(), /0\r\n\r\n/);
    const [line] = await gateway.loggedAtLeast("request", 1);
    assert.partialDeepStrictEqual(line, { subject: "ada", reason: "session-revoked" });
    assert.equal(upstream.openConnections(), 1);
  });

  test("closes a socket with 4401 when its token ends", async () => {
    await using people = await issuer();
    await using upstream = await startUpstream();
    await using gateway = await startGateway({
      targets: [upstream.url],
      routes,
      identity: identityOf(people),
    });
    const now = Math.floor(Date.now() / 1_000);
    const socket = await openSocket(gateway, await people.mint({ exp: now + 2 }));
    assert.deepEqual(await socket.closed, [4401, "credential"]);
    assert.ok(Date.now() >= (now + 2) * 1_000);
  });

  test("takes the admin token, an issuer that is configured, and exactly one name", async () => {
    await using people = await issuer();
    await using upstream = await startUpstream();
    await using gateway = await startGateway({
      targets: [upstream.url],
      routes,
      identity: identityOf(people),
    });
    const ada = await people.mint();
    assert.equal(
      (await command(gateway, "?issuer=people&subject=ada", { token: "x" })).status,
      401,
    );
    for (const query of [
      "",
      "?subject=ada",
      "?issuer=nobody&subject=ada",
      "?issuer=https://else.example&subject=ada",
      "?issuer=people",
      "?issuer=people&subject=",
      "?issuer=people&subject=ada&session=s",
      "?issuer=people&subject=ada&subject=grace",
      "?issuer=people&token=t&leaked=1",
      "?issuer=people&subject=ada&at=0",
      `?issuer=people&subject=${"x".repeat(256)}`,
    ])
      assert.equal((await command(gateway, query)).status, 400, query);
    assert.equal(
      (await command(gateway, "?issuer=people&subject=ada", { method: "PUT" })).status,
      405,
    );
    assert.equal(await statusOf(gateway, ada), 200);
    await revoke(gateway, "subject=ada&leaked=1");
    assert.equal(await statusOf(gateway, ada), 401);
    // A new token of the same sign-in is fine: only what was issued until then had leaked.
    await waitFor(async () => (await statusOf(gateway, await people.mint())) === 200, {
      what: "a token that was issued later",
    });
  });

  test("`tidegate revoke` asks the running gateway, and says what it needs", async () => {
    await using people = await issuer();
    await using upstream = await startUpstream();
    await using gateway = await startGateway({
      targets: [upstream.url],
      routes,
      identity: identityOf(people),
    });
    const printed: string[] = [];
    const terminal = {
      print: (line: string) => void printed.push(line),
      complain: (line: string) => void printed.push(line),
      workingFolder: "/",
      environment: {},
      readSecret: () => Promise.resolve(""),
    };
    const call = {
      file: undefined,
      admin: gateway.adminUrl,
      tokenFile: join(gateway.dataFolder, "admin-token"),
      issuer: people.url,
      subject: undefined,
      session: undefined,
      token: undefined,
      isLeak: false,
      isJson: false,
    };
    assert.equal(await revokeCommand(terminal, call), 2);
    assert.equal(await revokeCommand(terminal, { ...call, subject: "ada", issuer: undefined }), 2);
    assert.equal(await revokeCommand(terminal, { ...call, token: "t", isLeak: true }), 2);
    assert.equal(await revokeCommand(terminal, { ...call, subject: "ada", issuer: "typo" }), 1);
    assert.equal(await revokeCommand(terminal, { ...call, subject: "ada" }), 0);
    assert.match(printed.at(-1) ?? "", /^Revoked on every worker: subject ada of http/);
    assert.equal(await statusOf(gateway, await people.mint()), 401);
  });
});

// Runs alone: it says within what time a flood is boxed.
//
// The penalty box of a gateway in a process of its own: a flood while others work, and the end of the process.

import assert from "node:assert/strict";
import { once } from "node:events";
import { describe, test } from "node:test";
import { systemClock } from "@tidegate/clock";
import {
  issuer as startIssuer,
  rawConnection,
  readAnswer,
  waitFor,
  type Issuer,
} from "@tidegate/testkit";
import { folderWith, startTidegate } from "./cli-process.ts";
import { get, readProblem } from "./http-harness.ts";
import {
  bare,
  handshake,
  masked,
  openClient,
  readClose,
  startRawUpstream,
  type RawUpstream,
} from "./socket-harness.ts";

const close = "Connection: close";

const config = (upstream: RawUpstream, provider: Issuer): string =>
  JSON.stringify({
    listen: { port: 0 },
    admin: { port: 0 },
    threads: 2,
    penalty: {},
    identity: { people: { kind: "oidc", issuer: provider.url, audience: "https://api.test" } },
    upstreams: { service: { targets: [`http://127.0.0.1:${upstream.port}`] } },
    routes: [
      {
        path: "/live",
        to: "service",
        auth: { by: ["people"] },
        websocket: {
          limits: [
            {
              kind: "bucket",
              rate: { count: 100, seconds: 1 },
              burst: 200,
              per: "user",
              exceed: "drop",
            },
          ],
        },
      },
      {
        path: "/rest",
        to: "service",
        auth: { by: ["people"] },
        limits: [{ kind: "window", limit: 5, seconds: 60, per: "user" }],
      },
      { path: "/free", to: "service", auth: { by: ["people"] } },
    ],
  });

const authorization = async (provider: Issuer, sub: string): Promise<string> =>
  `Bearer ${await provider.mint({ sub })}`;

async function ask(port: number, path: string, credential: string) {
  await using client = await rawConnection(port);
  await client.write(get(path, [`Authorization: ${credential}`, close]));
  return await readAnswer(client);
}

test("a flood of a socket and of requests is boxed within 2 s, and nobody else loses a message", async () => {
  await using provider = await startIssuer({ algorithms: ["ES256"] });
  await using upstream = await startRawUpstream();
  await using folder = await folderWith({ "tidegate.config.json": config(upstream, provider) });
  await using gateway = startTidegate("tidegate.config.json", { cwd: folder.path });
  const port = Number(new URL((await gateway.ready).url).port);

  const honest = await Promise.all(
    ["ada", "grace", "edsger", "barbara"].map(async (sub) => {
      const client = await openClient(
        { port },
        { Authorization: await authorization(provider, sub) },
      );
      return { sub, client, sent: [] as Buffer[] };
    }),
  );
  const mallory = await authorization(provider, "mallory");
  const sockets = await Promise.all(
    Array.from({ length: 3 }, () => openClient({ port }, { Authorization: mallory })),
  );
  await waitFor(() => upstream.requests.length === 7, { what: "the sockets" });

  let isFlooding = true;
  const working = honest.map(async (user) => {
    for (let number = 0; number < 75; number++) {
      const frame = masked(`${user.sub} ${number}`);
      user.sent.push(frame);
      await user.client.write(frame);
      await new Promise<void>((resolve) => void systemClock.after(20, resolve));
    }
  });
  const beganMs = systemClock.monotonicMs();
  const chunk = Buffer.concat(Array.from({ length: 500 }, () => masked("x".repeat(40))));
  const flooding = sockets.map(async (client) => {
    while (isFlooding && client.ending() === undefined) {
      await client.write(chunk).catch(() => undefined);
      await new Promise<void>((resolve) => void systemClock.after(1, resolve));
    }
  });
  const asking = Array.from({ length: 2 }, async () => {
    while (isFlooding) {
      // The service never answers these; who asks does not wait for it.
      const client = await rawConnection(port);
      await client.write(get("/rest", [`Authorization: ${mallory}`, close]));
      await Promise.race([
        client.ended(),
        new Promise<void>((resolve) => void systemClock.after(20, resolve)),
      ]);
      client.reset();
    }
  });

  const endings = await Promise.all(sockets.map(async (client) => await client.ended()));
  const boxedMs = systemClock.monotonicMs() - beganMs;
  // It goes on with requests, all refused, until the others are done.
  await Promise.all(working);
  isFlooding = false;
  await Promise.all([...flooding, ...asking]);
  assert.equal(endings.length, 3);
  assert.ok(boxedMs < 2_000, `boxed after ${boxedMs} ms`);
  const refused = await ask(port, "/free", mallory);
  assert.equal(refused.status, 429);
  assert.match(readProblem(refused).type, /abnormal-usage-detected$/);

  // Every message of everybody else is there, in order and whole.
  for (const { client, sent } of honest) {
    const wanted = Buffer.concat(sent);
    await waitFor(() => upstream.requests.some((_, at) => upstream.frames(at).equals(wanted)), {
      what: `${sent.length} messages`,
    });
    assert.equal(client.ending(), undefined);
  }
  // And answers still come back to them.
  const [first] = honest;
  const at = upstream.requests.findIndex((_, index) =>
    upstream.frames(index).equals(Buffer.concat(first!.sent)),
  );
  (await upstream.socket(at)).write(bare("back"));
  await first!.client.readUntil("back");
});

describe("kill -9", () => {
  test("lets nobody out: a person, their sockets' handshakes, and the duty to sign in again", async () => {
    await using provider = await startIssuer({ algorithms: ["ES256"] });
    await using upstream = await startRawUpstream();
    await using folder = await folderWith({ "tidegate.config.json": config(upstream, provider) });
    const token = await authorization(provider, "ada");
    const other = await authorization(provider, "grace");
    {
      await using gateway = startTidegate("tidegate.config.json", { cwd: folder.path });
      const port = Number(new URL((await gateway.ready).url).port);
      await using socket = await openClient({ port }, { Authorization: token });
      for (let left = 40; left > 0; left--)
        await socket
          .write(Buffer.concat(Array.from({ length: 50 }, () => masked("x"))))
          .catch(() => undefined);
      const { code, reason } = readClose(await socket.readToEnd());
      assert.equal(code, 4429);
      assert.match(reason, /^penalty;/);
      gateway.child.kill("SIGKILL");
      await once(gateway.child, "exit");
    }
    await using gateway = startTidegate("tidegate.config.json", { cwd: folder.path });
    const port = Number(new URL((await gateway.ready).url).port);
    const answer = await ask(port, "/free", token);
    assert.equal(answer.status, 429);
    assert.equal(readProblem(answer)["strikes"], 1);
    const waitSeconds = Number(answer.field("retry-after"));
    assert.ok(waitSeconds > 0 && waitSeconds <= 36, `${waitSeconds} s`);
    await using client = await rawConnection(port);
    await client.write(handshake(port, { Authorization: token }));
    assert.equal((await readAnswer(client)).status, 429);
    await using admitted = await openClient({ port }, { Authorization: other });
    assert.match(admitted.head, / 101 /);
  });
});

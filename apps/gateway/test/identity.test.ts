// Who may come in, at the real gateway with real bytes: what the unit tests of `identify/` say must hold on the wire.

import assert from "node:assert/strict";
import { writeFile, readFile } from "node:fs/promises";
import { describe, test } from "node:test";
import { createAssertionVerifier, setUser } from "@tidegate/auth";
import { systemClock, systemRandom } from "@tidegate/clock";
import {
  issuer as startIssuer,
  rawConnection,
  readAnswer,
  startUpstream,
  tempFolder,
  waitFor,
  type Outage,
  type RawAnswer,
} from "@tidegate/testkit";
import { validateConfig } from "../src/config/load-config.ts";
import { createGateway } from "../src/gateway.ts";

const CANARY = "canary-Pa55word";
const basic = (user: string, password: string): string =>
  `Authorization: Basic ${Buffer.from(`${user}:${password}`).toString("base64")}`;

async function setUp({ outage = "none" }: { readonly outage?: Outage } = {}) {
  await using parts = new AsyncDisposableStack();
  const folder = parts.use(await tempFolder());
  const provider = parts.use(await startIssuer({ algorithms: ["ES256"] }));
  provider.outage = outage;
  const upstream = parts.use(await startUpstream());
  const users = folder.file("users.json");
  await setUser({
    path: users,
    fileName: "demo",
    user: "ada",
    password: CANARY,
    scopes: ["tasks:read"],
    random: systemRandom,
  });
  const log = folder.file("log");
  await writeFile(log, "");
  const { config } = validateConfig(
    {
      listen: { port: 0 },
      admin: { port: 0 },
      threads: 0,
      dataFolder: "data",
      shutdown: { drainTimeoutMs: 100 },
      record: { destination: log, level: "debug" },
      identity: {
        people: { kind: "oidc", issuer: provider.url, audience: "https://api.test" },
        staff: { kind: "users-file", file: users, realm: "task manager" },
      },
      upstreams: { tasks: { targets: [upstream.url] } },
      // Far above what the tests send.
      limits: [
        { kind: "bucket", rate: { count: 10_000, seconds: 1 }, burst: 10_000, per: "address" },
      ],
      routes: [
        {
          path: "/tasks/**",
          methods: ["GET", "DELETE"],
          to: "tasks",
          auth: { by: ["people", "staff"], scopes: ["tasks:read"] },
          websocket: {},
        },
        { path: "/basic", to: "tasks", auth: { by: ["staff"] } },
        {
          path: "/pay",
          to: "tasks",
          auth: { by: ["people"], scopes: ["pay"], acr: ["phr"], maxAgeSeconds: 300 },
        },
        { path: "/open", to: "tasks", auth: "none" },
      ],
    },
    { folder: folder.path },
  );
  const gateway = parts.use(createGateway(config));
  const { port, url } = await gateway.start();
  const owned = parts.move();
  const ask = async (target: string, fields: readonly string[] = []): Promise<RawAnswer> => {
    await using connection = await rawConnection(port);
    const [method, path] = target.split(" ");
    const lines = [`${method} ${path} HTTP/1.1`, `Host: localhost:${port}`, ...fields];
    await connection.write(`${lines.join("\r\n")}\r\n\r\n`);
    return await readAnswer(connection, method === undefined ? {} : { method });
  };
  return {
    provider,
    upstream,
    log,
    port,
    url,
    ask,
    challenges: async (target: string, fields?: readonly string[]) => {
      const answer = await ask(target, fields);
      const values = answer.fields
        .filter(([name]) => name.toLowerCase() === "www-authenticate")
        .map(([, value]) => value);
      return [answer.status, ...values];
    },
    bearer: async (...options: Parameters<typeof provider.mint>) =>
      `Authorization: Bearer ${await provider.mint(...options)}`,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

const INVALID =
  'Bearer realm="tidegate", error="invalid_token", error_description="The credential is expired, revoked or not valid here"';
const BASIC = 'Basic realm="task manager", charset="UTF-8"';

describe("gateway: who may come in", () => {
  test("refuses with the exact challenges, and forwards nothing of it", async () => {
    await using t = await setUp();
    const read = "GET /tasks/1";
    assert.deepEqual(await t.challenges(read), [401, 'Bearer realm="tidegate"', BASIC]);
    assert.deepEqual(await t.challenges("GET /basic"), [401, BASIC]);
    assert.deepEqual(await t.challenges(read, ["Sec-Fetch-Mode: cors"]), [
      401,
      'Bearer realm="tidegate"',
    ]);
    assert.deepEqual(await t.challenges("GET /basic", ["Cookie: theme=dark"]), [
      401,
      'Bearer realm="task manager"',
    ]);
    assert.deepEqual(await t.challenges(read, ["Authorization: Bearer a.b.c"]), [
      401,
      INVALID,
      BASIC,
    ]);
    assert.deepEqual(await t.challenges(read, [basic("ada", "wrong")]), [401, INVALID, BASIC]);
    assert.deepEqual(await t.challenges(read, [await t.bearer()]), [
      403,
      'Bearer realm="tidegate", error="insufficient_scope", scope="tasks:read"',
    ]);
    assert.deepEqual(await t.challenges("GET /pay", [await t.bearer()]), [
      401,
      'Bearer realm="tidegate", error="insufficient_user_authentication", error_description="A stronger or fresher sign-in is needed", acr_values="phr", max_age=300, scope="pay"',
    ]);
    const both = [await t.bearer(), "Cookie: __Host-tidegate=abc"];
    assert.equal((await t.ask(read, both)).status, 400);
    assert.equal(t.upstream.requests.length, 0);
  });

  test("gives the same body for every bad credential, but for the error id", async () => {
    await using t = await setUp();
    const bad = [
      await t.bearer({ aud: "https://other.test" }),
      await t.bearer({ exp: 1, iat: 0 }),
      await t.bearer({ iss: "https://nobody.example" }),
      await t.bearer({}, { header: { kid: "unknown" } }),
      "Authorization: Bearer x",
      basic("ada", "wrong"),
      basic("nobody", "wrong"),
    ];
    const bodies = new Set<string>();
    for (const field of bad) {
      const answer = await t.ask("GET /tasks/1", [field]);
      assert.equal(answer.status, 401, field);
      assert.equal(answer.field("cache-control"), "no-store");
      bodies.add(answer.body.toString().replace(/urn:tidegate:request:\w+/, ""));
    }
    assert.equal(bodies.size, 1);
  });

  test("refuses other sites with ambient credentials, and handshakes of foreign origins", async () => {
    await using t = await setUp();
    const foreign = "Origin: https://attacker.example";
    const ada = basic("ada", CANARY);
    assert.equal((await t.ask("DELETE /tasks/1", [ada, foreign])).status, 403);
    assert.equal((await t.ask("GET /tasks/1", [ada, "Sec-Fetch-Site: cross-site"])).status, 403);
    const handshake = [
      "Connection: Upgrade",
      "Upgrade: websocket",
      "Sec-WebSocket-Version: 13",
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    ];
    const token = await t.bearer({ scope: "tasks:read" });
    for (const origin of [foreign, "Origin: null", `Origin: http://localhost:${t.port + 1}`]) {
      assert.equal((await t.ask("GET /tasks/live", [...handshake, token, origin])).status, 403);
    }
    assert.equal(t.upstream.requests.length, 0);
    const own = `Origin: ${t.url}`;
    assert.equal((await t.ask("GET /tasks/live", [...handshake, token, own])).status, 101);
    // A bearer token is not ambient: an ordinary request with one may come from anywhere.
    assert.equal((await t.ask("DELETE /tasks/1", [token, foreign])).status, 200);
  });

  test("answers 503 with a wait, never 401, while the issuer's keys cannot be had", async () => {
    await using t = await setUp({ outage: "error" });
    const answer = await t.ask("GET /tasks/1", [await t.bearer({ scope: "tasks:read" })]);
    assert.equal(answer.status, 503);
    assert.ok(Number(answer.field("retry-after")) >= 1);
    assert.equal(answer.field("www-authenticate"), undefined);
    assert.equal((await t.ask("GET /readyz")).status, 503);
    // Whom the users file knows comes in all the same.
    assert.equal((await t.ask("GET /tasks/1", [basic("ada", CANARY)])).status, 200);
  });

  test("vouches for whom it let in, by an assertion that a service can check", async () => {
    await using t = await setUp();
    using verifier = createAssertionVerifier({
      issuer: t.url,
      audience: "tasks",
      jwksUrl: new URL("/.tidegate/jwks.json", t.url),
      clock: systemClock,
    });
    const forged = "Tidegate-Assertion: forged";
    const token = await t.bearer({ scope: "tasks:read", acr: "phr", sid: "session" });
    assert.equal((await t.ask("GET /tasks/1", [token, forged])).status, 200);
    assert.equal((await t.ask("GET /tasks/1", [basic("ada", CANARY), forged])).status, 200);
    assert.equal((await t.ask("GET /open", ["Authorization: Bearer stale", forged])).status, 200);
    const seen = [];
    for (const request of t.upstream.requests) {
      const [assertion = "", ...more] = request.values("tidegate-assertion");
      assert.deepEqual(more, []);
      assert.deepEqual(request.values("authorization"), []);
      const { source, subject, acr, sessionId } = await verifier.verify(
        assertion,
        AbortSignal.timeout(5_000),
      );
      seen.push({ source, subject, acr, sessionId });
    }
    assert.deepEqual(seen, [
      { source: t.provider.url, subject: "ada", acr: "phr", sessionId: "session" },
      {
        source: "urn:tidegate:users:demo",
        subject: "ada",
        acr: "urn:tidegate:acr:basic",
        sessionId: "",
      },
      { source: "", subject: "", acr: "", sessionId: "" },
    ]);
  });

  test("writes no credential into log or data, whatever becomes of it", async () => {
    await using t = await setUp();
    const secrets = [basic("ada", CANARY), basic("ada", `${CANARY}-wrong`)];
    secrets.push(await t.bearer({ scope: "tasks:read" }), await t.bearer({ aud: "x" }));
    for (const field of secrets) await t.ask(`GET /tasks/1?access_token=${CANARY}-query`, [field]);
    const text = await waitFor(
      async () => {
        const lines = await readFile(t.log, "utf8");
        return lines.split('"event":"request"').length > secrets.length && lines;
      },
      { what: "a line for every request" },
    );
    assert.equal(t.upstream.requests.length, 2);
    for (const field of secrets) {
      assert.ok(!text.includes(field.slice("Authorization: Bearer ".length)));
      assert.ok(!text.includes(field.split(" ")[2] ?? field));
    }
    assert.ok(!text.includes(CANARY));
    assert.match(text, /credential\.refused/);
  });
});

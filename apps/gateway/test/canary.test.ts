// Longer than 400 lines: one story, in which every place that can hold a secret is used.
// Secrets are planted wherever a caller, a provider, an upstream or the configuration can put one, in calls that go well,
// are refused or fail; then everything that the gateway writes down or says by itself is searched for them.

import assert from "node:assert/strict";
import { once } from "node:events";
import { describe, test } from "node:test";
import { keysFileWriter } from "@tidegate/auth";
import { systemClock, systemRandom } from "@tidegate/clock";
import {
  dpopClient,
  freePort,
  issuer as startIssuer,
  startRawServer,
  startUpstream,
  tempFolder,
  type RawAnswer,
} from "@tidegate/testkit";
import { WebSocket as WsClient } from "ws";
import { get, requestBytes, startGateway } from "./http-harness.ts";
import { createNest } from "./secret-nest.ts";
import { startTalkativeProvider } from "./talkative-provider.ts";

const AUDIENCE = "https://api.test";
const PAGE = "https://app.test";
const HANDSHAKE = [
  "Connection: Upgrade",
  "Upgrade: websocket",
  "Sec-WebSocket-Version: 13",
  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
];

test("the search finds a planted secret in each of its spellings, and nothing else", () => {
  const nest = createNest();
  const secret = nest.plant("here");
  for (const text of [
    secret,
    `a=${secret}&b`,
    Buffer.from(`ada:${secret}`).toString("base64"),
    Buffer.from(`al:${secret}`).toString("base64"),
    Buffer.from(`a:${secret}`).toString("base64"),
  ])
    assert.deepEqual(nest.foundIn(text), ["here"], text);
  assert.deepEqual(nest.foundIn("canary0"), []);
});

async function setUp(threads: number) {
  await using parts = new AsyncDisposableStack();
  const nest = createNest();
  const folder = parts.use(await tempFolder());
  const keysPath = folder.file("keys.json");
  const writer = keysFileWriter({
    path: keysPath,
    fileName: "partners",
    random: systemRandom,
    nowMs: systemClock.wallMs(),
  });
  const scopes = ["tasks:read"];
  const key = await writer.add({ name: "billing", scopes, expiresAtMs: undefined });
  nest.keep("API key", key);
  const people = parts.use(await startIssuer({ algorithms: ["ES256"] }));
  const outOfOrder = parts.use(await startIssuer({ algorithms: ["ES256"] }));
  outOfOrder.outage = "error";
  const talkative = parts.use(await startTalkativeProvider(nest));
  const upstream = parts.use(await startUpstream());
  const secretHead =
    `HTTP/1.1 2x0 ${nest.plant("upstream's broken status line")}\r\n` +
    `X-Debug: ${nest.plant("upstream's field in a broken answer")}\r\n\r\n` +
    nest.plant("upstream's body in a broken answer");
  const broken = parts.use(
    await startRawServer((socket) => {
      socket.on("error", () => undefined);
      socket.once("data", () => socket.end(secretHead));
    }),
  );
  const dead = await Promise.all([freePort(), freePort()]);
  const secret = nest.plant("client secret");
  const gateway = parts.use(
    await startGateway({
      targets: [upstream.url],
      threads,
      logLevel: "debug",
      identity: {
        people: {
          kind: "oidc",
          issuer: people.url,
          audience: AUDIENCE,
          client: { id: "web", secret },
        },
        away: { kind: "oidc", issuer: outOfOrder.url, audience: AUDIENCE },
        opaque: {
          kind: "oidc",
          issuer: talkative.url,
          audience: AUDIENCE,
          tokenFormat: "opaque",
          client: { id: "gateway", secret: nest.plant("client secret for introspection") },
          introspection: { timeoutMs: 1_000 },
          basic: { endpoint: `${talkative.url}/basic`, realm: "tasks", timeoutMs: 1_000 },
        },
        programs: { kind: "api-keys", file: keysPath, header: "x-api-key" },
      },
      routes: [
        { path: "/tasks/**", auth: { by: ["people", "programs", "away"], scopes } },
        { path: "/live", auth: { by: ["people"] }, websocket: {}, origins: [PAGE] },
        { path: "/opaque", auth: { by: ["opaque"] } },
        { path: "/dead", auth: { by: ["people"] }, to: "dead", websocket: {} },
        { path: "/broken", auth: { by: ["people"] }, to: "broken", websocket: {} },
        { path: "/pay", auth: { by: ["people"], acr: ["phr"], maxAgeSeconds: 60 } },
        { path: "/open", websocket: {} },
      ],
      moreUpstreams: {
        dead: { targets: dead.map((port) => `http://127.0.0.1:${port}`) },
        broken: { targets: [`http://127.0.0.1:${broken.port}`] },
      },
      revocation: {
        transmitters: {
          risk: { issuer: outOfOrder.url, audience: `${AUDIENCE}/events`, speaksFor: ["people"] },
        },
      },
    }),
  );
  nest.keep("admin token", await gateway.adminToken());
  const owned = parts.move();
  /** Everything that the gateway said in its own words. */
  const said: string[] = [];
  const statuses: number[] = [];
  const tell = async (bytes: string, method = "GET"): Promise<RawAnswer> => {
    const answer = await gateway.ask(bytes, { method });
    statuses.push(answer.status);
    if (answer.status >= 300) {
      said.push(JSON.stringify(answer.fields), answer.body.toString());
      assert.deepEqual(nest.foundIn(said.join("\n")), [], `${bytes}\n${said.at(-1)}`);
    }
    return answer;
  };
  return {
    nest,
    people,
    outOfOrder,
    talkative,
    upstream,
    gateway,
    said,
    statuses,
    tell,
    bearer: async (where: string, ...claims: Parameters<typeof people.mint>) =>
      nest.keep(where, await people.mint(...claims)),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

type SetUp = Awaited<ReturnType<typeof setUp>>;

const basic = (user: string, password: string): string =>
  `Authorization: Basic ${Buffer.from(`${user}:${password}`).toString("base64")}`;

/** Requests of every kind of credential, good and bad, with secrets in all other places too. */
async function callWithRequests(t: SetUp): Promise<void> {
  const { nest, tell } = t;
  const good = await t.bearer("good token", { scope: "tasks:read" });
  const credentials = [
    `Authorization: Bearer ${good}`,
    `Authorization: Bearer ${await t.bearer("token without scope")}`,
    `Authorization: Bearer ${await t.bearer("expired token", { exp: 1, iat: 0 })}`,
    `Authorization: Bearer ${await t.bearer("token of nobody", { iss: `https://${nest.plant("issuer in a token")}.test` })}`,
    `Authorization: Bearer ${await t.bearer("token with odd kid", {}, { header: { kid: nest.plant("kid in a token") } })}`,
    `Authorization: Bearer ${await t.bearer("token with odd typ", {}, { header: { typ: nest.plant("typ in a token") } })}`,
    `Authorization: Bearer ${nest.keep("token while keys are away", await t.outOfOrder.mint({}))}`,
    `Authorization: Bearer ${nest.plant("token that is none")}`,
    `Authorization: ${nest.plant("scheme")} ${nest.plant("value of another scheme")}`,
    `Authorization: Digest username="${nest.plant("digest")}"`,
    `Authorization: ${nest.plant("Authorization of one word")}`,
    basic(nest.plant("user name"), nest.plant("password")),
    `Authorization: Basic ${nest.plant("Basic that is none")}`,
    `X-Api-Key: ${nest.planted.get("API key")}`,
    `X-Api-Key: tgk_${nest.plant("API key of nobody")}`,
    `Cookie: __Host-tidegate=${nest.plant("session cookie")}; theme=${nest.plant("other cookie")}`,
    `Proxy-Authorization: Basic ${nest.plant("proxy credential")}`,
  ];
  for (const path of ["/tasks/1", "/open", "/opaque", "/pay", "/dead", "/broken", "/nowhere"])
    for (const field of credentials)
      await tell(
        get(`${path}?access_token=${nest.plant(`query of ${path} ${nest.planted.size}`)}`, [
          field,
          `Referer: https://a.test/?t=${nest.plant(`referer ${nest.planted.size}`)}`,
          `User-Agent: ${nest.plant(`agent ${nest.planted.size}`)}`,
          "Connection: close",
        ]),
      );
  // Two at once, doubled, and among broken bytes.
  const shown = `Authorization: Bearer ${good}`;
  await tell(get("/tasks/1", [shown, `X-Api-Key: ${nest.planted.get("API key")}`]));
  await tell(get("/tasks/1", [shown, shown]));
  await tell(get("/tasks/1", [shown, `X Bad: ${nest.plant("malformed field")}`]));
  await tell(get(`/tasks/%zz${nest.plant("broken path")}`, [shown]));
  await tell(get(`/tasks/1#${nest.plant("fragment")}`, [shown]));
  await tell(get("/tasks/1", [`Host: ${nest.plant("foreign host")}.test`, shown]));
  await tell(`${nest.plant("method")} /tasks/1 HTTP/1.1\r\nHost: localhost\r\n\r\n`);
  await tell(get("/open", [`Origin: https://${nest.plant("origin")}.test`, ...HANDSHAKE]));
  const body = nest.plant("body");
  const length = `Content-Length: ${body.length}`;
  for (const path of ["/tasks/1", "/dead", "/broken", "/nowhere"])
    await tell(requestBytes(`POST ${path} HTTP/1.1`, [shown, length], body), "POST");
  await tell(
    requestBytes("POST /open HTTP/1.1", [`Content-Length: ${nest.plant("length")}`], body),
    "POST",
  );
  // Bound to a key, with proofs good, used and for another address.
  const client = await dpopClient();
  const cnf = { jkt: client.thumbprint };
  const bound = await t.bearer("bound token", { cnf, scope: "tasks:read" });
  const htu = `http://localhost:${t.gateway.port}/tasks/1`;
  const proof = nest.keep("proof", await client.prove({ token: bound, htu }));
  const other = nest.keep("proof of another", await client.prove({ token: bound, htu: `${htu}2` }));
  const host = `Host: localhost:${t.gateway.port}`;
  for (const one of [proof, proof, other, nest.plant("proof that is none")])
    await tell(get("/tasks/1", [host, `Authorization: DPoP ${bound}`, `DPoP: ${one}`]));
  // A provider that says too much about tokens and passwords.
  const ask = async (mode: typeof t.talkative.state.mode, round: number): Promise<void> => {
    t.talkative.state.mode = mode;
    const where = `${mode} ${round}`;
    await tell(get("/opaque", [`Authorization: Bearer ${nest.plant(`opaque token, ${where}`)}`]));
    await tell(get("/opaque", [basic(`ada${round}`, nest.plant(`sent password, ${where}`))]));
  };
  for (const mode of ["error", "broken", "foreign", "cut"] as const) {
    await ask(mode, 0);
    await ask("refused", nest.planted.size);
  }
  // Until a worker leaves it alone, which is written down.
  for (let round = 1; round <= 40; round++) {
    await ask("error", round);
    if ((await t.gateway.logged("introspection.failed")).length > 0) break;
  }
}

/** Sockets: credentials and tickets in every place, accepted, refused and ended. */
async function callWithSockets(t: SetUp): Promise<void> {
  const { nest } = t;
  const base = `localhost:${t.gateway.port}`;
  const token = await t.bearer("token of a socket", { sub: "seafarer" });
  const authorization = `Bearer ${token}`;
  const mint = async (path: string): Promise<string> => {
    const answer = await fetch(`http://${base}/.tidegate/tickets`, {
      method: "POST",
      headers: { "content-type": "application/json", authorization },
      body: JSON.stringify({ path, extra: nest.plant(`body of the ticket for ${path}`) }),
    });
    const text = await answer.text();
    if (answer.status !== 200) {
      t.said.push(text);
      return nest.plant(`no ticket for ${path}`);
    }
    const { ticket } = JSON.parse(text) as { ticket: string };
    return nest.keep(`ticket ${nest.planted.size}`, ticket);
  };
  const mintPlainly = async (path: string): Promise<string> => {
    const answer = await fetch(`http://${base}/.tidegate/tickets`, {
      method: "POST",
      headers: { "content-type": "application/json", authorization },
      body: JSON.stringify({ path }),
    });
    assert.equal(answer.status, 200);
    const { ticket } = (await answer.json()) as { ticket: string };
    return nest.keep(`ticket ${nest.planted.size}`, ticket);
  };
  const knock = async (
    target: string,
    protocols: string[] = [],
    headers: Record<string, string> = {},
  ): Promise<{ socket: WsClient | undefined; closed: Promise<unknown> }> => {
    const socket = new WsClient(`ws://${base}${target}`, protocols, { headers });
    const { promise, resolve } = Promise.withResolvers<WsClient | undefined>();
    const closed = Promise.withResolvers<undefined>();
    socket.on("error", () => undefined);
    socket.on("open", () => resolve(socket));
    socket.on("close", (code, reason) => {
      t.said.push(`${code} ${reason.toString()}`);
      closed.resolve(undefined);
      resolve(undefined);
    });
    socket.on("unexpected-response", (_, response) => {
      t.statuses.push(response.statusCode ?? 0);
      t.said.push(JSON.stringify(response.headers));
      let text = "";
      response.on("data", (part) => (text += String(part)));
      response.on("end", () => {
        t.said.push(text);
        resolve(undefined);
        socket.terminate();
      });
    });
    return { socket: await promise, closed: closed.promise };
  };
  await mint("/live");
  const byQuery = await mintPlainly("/live");
  const used = await knock(`/live?q=${nest.plant("query of a socket")}&tidegate_ticket=${byQuery}`);
  assert.ok(used.socket !== undefined);
  used.socket.send(nest.plant("message"));
  await once(used.socket, "message");
  const byProtocol = await mintPlainly("/live");
  const offered = ["chat", `tidegate.ticket.${byProtocol}`];
  const second = await knock("/live", offered);
  assert.ok(second.socket !== undefined);
  // Used up, for another path, made up, two at once.
  await knock(`/live?tidegate_ticket=${byQuery}`);
  await knock("/live", offered);
  await knock(`/dead?tidegate_ticket=${await mintPlainly("/live")}`);
  await knock(`/live?tidegate_ticket=${nest.plant("ticket of nobody")}`);
  await knock("/live", ["chat", `tidegate.ticket.${nest.plant("ticket of nobody as protocol")}`]);
  await knock("/live", [`bearer.${nest.plant("token as protocol")}`]);
  await knock("/live", [], { authorization: `Bearer ${nest.plant("bad token of a socket")}` });
  await knock("/live", [], { authorization, origin: `https://${nest.plant("origin 2")}.test` });
  await knock("/live", [], { cookie: `__Host-tidegate=${nest.plant("cookie of a socket")}` });
  await knock(`/dead?q=${nest.plant("query to the dead")}`, ["chat"], { authorization });
  await knock(`/broken?q=${nest.plant("query to the broken")}`, ["chat"], { authorization });
  // One that its service closes with a reason that nobody should write down, one that is revoked.
  const third = await knock("/live", [nest.plant("subprotocol")], { authorization });
  const atUpstream = t.upstream.webSockets.at(-1);
  assert.ok(third.socket !== undefined && atUpstream !== undefined);
  const told = t.said.length;
  const reason = nest.plant("reason of an upstream");
  atUpstream.close(4001, reason);
  await third.closed;
  // The reason belongs to client and service; here it matters that nothing else repeats it.
  assert.equal(t.said[told], `4001 ${reason}`);
  t.said.splice(told, 1);
  const fourth = await knock("/live", ["chat"], { authorization });
  assert.ok(fourth.socket !== undefined);
  fourth.socket.send(nest.plant("message before a broken frame"));
  await once(fourth.socket, "message");
  const below = (fourth.socket as unknown as { _socket: { write(bytes: Buffer): void } })._socket;
  below.write(Buffer.concat([Buffer.of(0xf3, 0x90), Buffer.from(nest.plant("broken frame"))]));
  await fourth.closed;
  // The others end with the revocation.
  const admin = { authorization: `Bearer ${await t.gateway.adminToken()}` };
  const revoke = `${t.gateway.adminUrl}/revocations?issuer=people&subject=seafarer`;
  const revoked = await fetch(revoke, { method: "POST", headers: admin });
  assert.ok(revoked.ok, await revoked.text());
  await Promise.all([used.closed, second.closed]);
}

/** The gateway's own endpoints: reports, browser sessions, the admin listener. */
async function callOwnEndpoints(t: SetUp): Promise<void> {
  const { nest } = t;
  const logout = nest.keep("logout token", await t.people.mint({ events: {} }));
  const away = nest.keep("event token", await t.outOfOrder.mint({ events: {} }));
  const form = "Content-Type: application/x-www-form-urlencoded";
  const post = (path: string, type: string, body: string): Promise<RawAnswer> =>
    t.tell(
      requestBytes(
        `POST /.tidegate/${path}?q=${nest.plant(`query of ${path} ${nest.planted.size}`)} HTTP/1.1`,
        [type, `Content-Length: ${body.length}`],
        body,
      ),
      "POST",
    );
  for (const token of [logout, away, nest.plant("logout token that is none")]) {
    await post("backchannel-logout", form, `logout_token=${token}`);
    await post("events", "Content-Type: application/secevent+jwt", token);
  }
  await post("tickets", "Content-Type: application/json", `{"path": ${nest.plant("broken body")}`);
  const query = `code=${nest.plant("code")}&state=${nest.plant("state")}`;
  await t.tell(get(`/.tidegate/callback?${query}`));
  await t.tell(get(`/.tidegate/callback?error=${nest.plant("error of a callback")}&${query}`));
  await t.tell(get(`/.tidegate/${nest.plant("own endpoint")}`));
  for (const token of [nest.plant("wrong admin token"), ""])
    for (const path of ["/", "/metrics", `/${nest.plant(`admin path ${token.length}`)}`]) {
      const url = `${t.gateway.adminUrl}${path}?q=${nest.plant(`admin query ${path} ${token.length}`)}`;
      const answer = await fetch(url, { headers: { authorization: `Bearer ${token}` } });
      t.said.push(JSON.stringify([...answer.headers]), await answer.text());
      assert.ok(answer.status >= 400);
    }
}

async function adminAnswers(t: SetUp): Promise<string> {
  const headers = { authorization: `Bearer ${await t.gateway.adminToken()}` };
  const paths = ["/", "/readyz", "/healthz", "/metrics", "/penalties", "/revocations", "/limits"];
  const texts = paths.map(async (path) => {
    const answer = await fetch(`${t.gateway.adminUrl}${path}`, { headers });
    return `${path} ${answer.status} ${await answer.text()}`;
  });
  return (await Promise.all(texts)).join("\n");
}

for (const threads of [0, 2]) {
  describe(`secrets over ${threads} workers`, () => {
    test("planted in every place of good, refused and failing calls are in no log, metric, admin answer, problem or close reason", async () => {
      await using t = await setUp(threads);
      await callWithRequests(t);
      await callWithSockets(t);
      await callOwnEndpoints(t);
      // All of it really happened: without these statuses the search below would prove nothing.
      for (const status of [200, 400, 401, 403, 404, 421, 502, 503])
        assert.ok(t.statuses.includes(status), `no call ended with ${status}`);
      const lines = await t.gateway.loggedAtLeast("request", t.statuses.length - 20);
      assert.ok(lines.length > 100);
      const admin = await adminAnswers(t);
      assert.match(admin, /tidegate_requests_total/);
      await t.gateway.gateway.stop("test");
      const log = await t.gateway.logText();
      for (const event of [
        "credential.refused",
        "socket.ended",
        "introspection.failed",
        "password-check.failed",
        "issuer.failed",
        "revocation.recorded",
        "revocation.report-refused",
        "admin.refused",
      ])
        assert.ok(log.includes(`"event":"${event}"`), `no ${event} was logged`);
      assert.doesNotMatch(log, /defect\.found/);
      for (const line of [...log.split("\n"), ...admin.split("\n"), ...t.said])
        assert.deepEqual(t.nest.foundIn(line), [], line);
      assert.ok(t.nest.planted.size > 300, String(t.nest.planted.size));
    });
  });
}

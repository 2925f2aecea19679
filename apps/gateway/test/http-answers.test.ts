// Every answer that the gateway gives in its own name, byte for byte over real sockets, compared with
// golden/http-answers.txt. `UPDATE_GOLDEN=1` writes it anew; what then changed is read in the diff.

import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { test } from "node:test";
import { setUser } from "@tidegate/auth";
import { systemRandom } from "@tidegate/clock";
import {
  freePort,
  issuer as startIssuer,
  startRawServer,
  startUpstream,
  tempFolder,
} from "@tidegate/testkit";
import { get, requestBytes, startGateway } from "./http-harness.ts";

const golden = new URL("../golden/http-answers.txt", import.meta.url);
const CLOSE = "Connection: close";
const HANDSHAKE = [
  "Connection: Upgrade",
  "Upgrade: websocket",
  "Sec-WebSocket-Version: 13",
  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
];

async function setUp() {
  await using parts = new AsyncDisposableStack();
  const folder = parts.use(await tempFolder());
  const file = folder.file("users.json");
  const password = "a good long password";
  await setUser({
    path: file,
    fileName: "staff",
    user: "ada",
    password,
    scopes: [],
    random: systemRandom,
  });
  const people = parts.use(await startIssuer({ algorithms: ["ES256"] }));
  const away = parts.use(await startIssuer({ algorithms: ["ES256"] }));
  away.outage = "error";
  const upstream = parts.use(await startUpstream());
  const silent = parts.use(await startUpstream({ onRequest: () => undefined }));
  const broken = parts.use(
    await startRawServer((socket) => {
      socket.once("data", () => socket.end("HTTP/1.1 2x0 odd\r\n\r\n"));
    }),
  );
  const by = ["people"];
  const window = { kind: "window", seconds: 60, per: "user" } as const;
  const gateway = parts.use(
    await startGateway({
      targets: [upstream.url],
      penalty: {},
      listen: { maxTargetBytes: 200, maxHeaderBytes: 8_192, headerTimeoutMs: 1_000 },
      identity: {
        people: { kind: "oidc", issuer: people.url, audience: "https://api.test" },
        away: { kind: "oidc", issuer: away.url, audience: "https://api.test" },
        staff: { kind: "users-file", file, realm: "staff" },
      },
      moreUpstreams: {
        dead: { targets: [`http://127.0.0.1:${await freePort()}`] },
        silent: { targets: [silent.url], firstByteTimeoutMs: 100 },
        broken: { targets: [`http://127.0.0.1:${broken.port}`] },
      },
      routes: [
        { path: "/read", methods: ["GET"], auth: { by, scopes: ["read", "list"] } },
        { path: "/staff", auth: { by: ["people", "staff"] } },
        { path: "/pay", auth: { by, scopes: ["pay"], acr: ["phr", "pin"], maxAgeSeconds: 300 } },
        { path: "/fresh", auth: { by, maxAgeSeconds: 300 } },
        { path: "/away", auth: { by: ["away"] } },
        { path: "/small", maxBodyBytes: 10 },
        { path: "/narrow", auth: { by }, limits: [{ ...window, limit: 1, name: "pay" }] },
        {
          path: "/bytes",
          auth: { by },
          limits: [{ ...window, limit: 10, cost: "byte", name: "bytes" }],
        },
        { path: "/boxed", auth: { by }, limits: [{ ...window, limit: 1, name: "box" }] },
        { path: "/live", auth: { by }, websocket: {}, origins: ["https://app.test"] },
        { path: "/dead", to: "dead" },
        { path: "/silent", to: "silent" },
        { path: "/broken", to: "broken" },
      ],
    }),
  );
  const owned = parts.move();
  return { people, away, gateway, password, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

/** What differs from run to run, by what it is. */
const withoutChance = (text: string): string =>
  text
    .replaceAll(/urn:tidegate:request:[0-9a-f]{32}/g, "urn:tidegate:request:ID")
    .replaceAll(/^(X-Request-Id): [0-9a-f]{32}$/gim, "$1: ID")
    .replaceAll(/^(Content-Length): \d+$/gim, "$1: LENGTH")
    .replaceAll(/^(Date): .*$/gim, "$1: DATE")
    .replaceAll(/^(Retry-After): [1-9]\d*$/gim, "$1: N")
    .replaceAll(/;t=[1-9]\d*/g, ";t=N")
    .replaceAll(/"retryAfterSeconds":[1-9]\d*/g, '"retryAfterSeconds":N')
    .replaceAll(/(localhost|127\.0\.0\.1):\d+/g, "$1:PORT");

test("every answer of the gateway's own is the golden one, byte for byte", async () => {
  await using t = await setUp();
  const bearer = async (claims: object = {}): Promise<string> =>
    `Authorization: Bearer ${await t.people.mint({ ...claims })}`;
  const user = (sub: string) => bearer({ sub });
  const parts: string[] = [];
  const show = async (what: string, bytes: string): Promise<void> => {
    await using client = await t.gateway.connect();
    await client.write(bytes);
    const text = (await client.readToEnd()).toString("latin1");
    const [head = "", body = ""] = text.split("\r\n\r\n");
    assert.equal(/^Content-Length: (\d+)$/im.exec(head)?.[1], String(body.length), what);
    parts.push(`## ${what}\n\n${withoutChance(text.replaceAll("\r\n", "\n"))}\n`);
  };
  const ask = (what: string, path: string, ...fields: string[]): Promise<void> =>
    show(what, get(path, [CLOSE, ...fields]));

  await ask("no credential", "/read");
  await ask("no credential, Basic allowed", "/staff");
  await ask("no credential, Basic allowed, a page asks", "/staff", "Sec-Fetch-Mode: cors");
  await ask("a token that is none", "/read", "Authorization: Bearer x");
  await ask("an expired token", "/read", await bearer({ exp: 1, iat: 0 }));
  await ask("another audience", "/read", await bearer({ aud: "https://other.test" }));
  const wrong = Buffer.from("ada:wrong").toString("base64");
  await ask("a wrong password", "/staff", `Authorization: Basic ${wrong}`);
  await ask("two credentials", "/read", await bearer(), "Cookie: __Host-tidegate=x");
  await ask("lacks scope", "/read", await bearer());
  await ask("lacks level, freshness and scope", "/pay", await bearer({ auth_time: 1 }));
  await ask("lacks level", "/pay", await bearer({ scope: "pay" }));
  await ask("lacks freshness", "/fresh", await bearer({ auth_time: 1 }));
  await ask("keys are away", "/away", `Authorization: Bearer ${await t.away.mint({})}`);
  const odd = requestBytes("POST /read HTTP/1.1", [CLOSE, "Content-Length: 0"]);
  await show("a method that is not served", odd);
  await ask("nothing there", "/nowhere");
  const large = requestBytes("POST /small HTTP/1.1", [CLOSE, "Content-Length: 11"], "x".repeat(11));
  await show("a body that is too large", large);
  const costly = [CLOSE, await user("rich"), "Content-Length: 11"];
  await show(
    "a cost above the limit's capacity",
    requestBytes("POST /bytes HTTP/1.1", costly, "x".repeat(11)),
  );
  const poor = await user("poor");
  assert.equal((await t.gateway.ask(get("/narrow", [poor]))).status, 200);
  await ask("over a limit", "/narrow", poor);
  const wild = await user("wild");
  for (let count = 0; count < 40; count++) await t.gateway.ask(get("/boxed", [wild, CLOSE]));
  await ask("in the penalty box", "/read", wild);
  await ask("the upstream is dead", "/dead");
  await ask("the upstream answers badly", "/broken");
  await ask("the upstream is late", "/silent");
  await show("a head that does not come to its end", "GET /read HTTP/1.1\r\nHost: localhost\r\n");
  await ask("a target that is too long", `/${"x".repeat(300)}`);
  await ask("another expectation", "/small", "Expect: tea");
  await ask("an upgrade is needed", "/live", await bearer());
  await ask("fields that are too large", "/small", `X: ${"x".repeat(9_000)}`);
  await show("a method that nobody knows", requestBytes("BREW /small HTTP/1.1", [CLOSE]));
  await show(
    "a handshake of another origin",
    get("/live", [...HANDSHAKE, await bearer(), "Origin: https://evil.test"]),
  );
  await show(
    "a handshake without a credential",
    get("/live", [...HANDSHAKE, "Sec-WebSocket-Protocol: chat"]),
  );
  await ask("another host", "/small", "Host: evil.test");
  await show("two lengths", get("/small", ["Content-Length: 1", "Content-Length: 2"]));
  await ask("a path that two parsers read differently", "//x");

  const text = parts.join("\n");
  if (process.env["UPDATE_GOLDEN"] === "1") await writeFile(golden, text);
  assert.equal(text, await readFile(golden, "utf8"));
});

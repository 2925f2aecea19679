// Which origins may open a socket, and write with what a browser adds by itself: exactly the configured ones.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { setUser } from "@tidegate/auth";
import { systemRandom } from "@tidegate/clock";
import { issuer as startIssuer, startUpstream, tempFolder } from "@tidegate/testkit";
import { get, requestBytes, startGateway } from "./http-harness.ts";

const HANDSHAKE = [
  "Connection: Upgrade",
  "Upgrade: websocket",
  "Sec-WebSocket-Version: 13",
  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
];
const ALLOWED = "https://app.test";
/** Each is one that a careless comparison takes for `https://app.test`, or for none. */
const FOREIGN = [
  "null",
  "https://evil.app.test",
  "https://app.test.evil.test",
  "https://notapp.test",
  "https://app.testing",
  "https://xapp.test",
  "https://app-test",
  "HTTPS://APP.TEST",
  "https://App.test",
  "http://app.test",
  "wss://app.test",
  "https://app.test:443",
  "https://app.test:8443",
  "https://app.test.",
  "https://app.test/",
  "https://app.test/x",
  "https://user@app.test",
  "https://app.test@evil.test",
  "https://app.test#evil.test",
  "https://app.test,https://evil.test",
  "https://app.test https://evil.test",
  "https://evil.test https://app.test",
  "https://*",
  "*",
  "app.test",
  "//app.test",
  "file://",
  "",
];

async function setUp() {
  await using parts = new AsyncDisposableStack();
  const folder = parts.use(await tempFolder());
  const file = folder.file("users.json");
  const user = { user: "ada", password: "a good long password", scopes: [] };
  await setUser({ path: file, fileName: "staff", ...user, random: systemRandom });
  const people = parts.use(await startIssuer({ algorithms: ["ES256"] }));
  const upstream = parts.use(await startUpstream());
  const by = ["people", "staff"];
  const gateway = parts.use(
    await startGateway({
      targets: [upstream.url],
      identity: {
        people: { kind: "oidc", issuer: people.url, audience: "https://api.test" },
        staff: { kind: "users-file", file },
      },
      routes: [
        { path: "/live", auth: { by }, websocket: {}, origins: [ALLOWED] },
        { path: "/open", websocket: {}, origins: [ALLOWED] },
        { path: "/write", auth: { by }, origins: [ALLOWED] },
      ],
    }),
  );
  const owned = parts.move();
  const credentials = `${user.user}:${user.password}`;
  return {
    upstream,
    bearer: `Authorization: Bearer ${await people.mint()}`,
    basic: `Authorization: Basic ${Buffer.from(credentials).toString("base64")}`,
    knock: async (...fields: string[]) =>
      (await gateway.ask(get("/live", [...HANDSHAKE, ...fields]))).status,
    knockOpen: async (...fields: string[]) =>
      (await gateway.ask(get("/open", [...HANDSHAKE, ...fields]))).status,
    write: async (...fields: string[]) =>
      (
        await gateway.ask(requestBytes("POST /write HTTP/1.1", [...fields, "Content-Length: 0"]), {
          method: "POST",
        })
      ).status,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

describe("origins", () => {
  test("no origin but exactly the allowed one opens a socket, whatever the credential", async () => {
    await using t = await setUp();
    for (const origin of FOREIGN) {
      const field = `Origin: ${origin}`;
      assert.equal(await t.knock(field, t.bearer), 403, `token: ${origin}`);
      assert.equal(await t.knock(field, t.basic), 403, `password: ${origin}`);
      assert.equal(await t.knockOpen(field), 403, `nothing: ${origin}`);
    }
    assert.notEqual(await t.knock(`Origin: ${ALLOWED}`, `Origin: ${ALLOWED}`, t.bearer), 101);
    assert.notEqual(await t.knock(`Origin: ${ALLOWED}`, "Origin: null", t.bearer), 101);
    assert.equal(t.upstream.requests.length, 0);
    assert.equal(await t.knock(`Origin: ${ALLOWED}`, t.bearer), 101);
    assert.equal(await t.knockOpen(`Origin: ${ALLOWED}`), 101);
  });

  test("no origin but exactly the allowed one writes with a password that the browser remembers", async () => {
    await using t = await setUp();
    for (const origin of FOREIGN)
      assert.equal(await t.write(`Origin: ${origin}`, t.basic), 403, origin);
    assert.equal(t.upstream.requests.length, 0);
    assert.equal(await t.write(`Origin: ${ALLOWED}`, t.basic), 200);
  });

  test("a program without an origin is let in, and a cookie without one is not", async () => {
    await using t = await setUp();
    const cookie = "Cookie: __Host-tidegate=x";
    assert.equal(await t.knock(cookie), 403);
    assert.equal(await t.knockOpen(cookie), 403);
    assert.equal(await t.write(cookie), 403);
    assert.equal(t.upstream.requests.length, 0);
    assert.equal(await t.knock(t.bearer), 101);
    assert.equal(await t.write(t.basic), 200);
  });
});

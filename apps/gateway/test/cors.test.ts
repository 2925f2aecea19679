// CORS at the real gateway: what a page of another origin may do and read.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { startUpstream, type RawAnswer } from "@tidegate/testkit";
import { get, requestBytes, startGateway } from "./http-harness.ts";

const APP = "https://app.example";
const FOREIGN = "https://attacker.example";
const EXPOSED = "Retry-After, RateLimit, RateLimit-Policy, WWW-Authenticate";

async function setUp() {
  await using parts = new AsyncDisposableStack();
  const upstream = parts.use(
    await startUpstream({
      onRequest(_, answer) {
        answer.writeHead(200, {
          "access-control-allow-origin": "*",
          "access-control-allow-credentials": "true",
          vary: "Accept",
        });
        answer.end("from the service");
      },
    }),
  );
  const gateway = parts.use(
    await startGateway({
      targets: [upstream.url],
      limits: [{ kind: "window", limit: 6, seconds: 600, per: "address", name: "calls" }],
      routes: [
        {
          path: "/mine/**",
          methods: ["GET", "PUT"],
          cors: { origins: [APP], credentials: true, headers: ["If-Match"], maxAgeSeconds: 60 },
        },
        { path: "/open/**", cors: { origins: ["*"], exposedHeaders: ["ETag"] } },
        { path: "/plain/**" },
        { path: "/locked/**", auth: { by: ["people"] }, cors: { origins: [APP] } },
      ],
      identity: {
        people: { kind: "oidc", issuer: "http://127.0.0.1:1/", audience: "https://api.test" },
      },
    }),
  );
  const owned = parts.move();
  const preflight = (path: string, origin: string, method = "PUT"): Promise<RawAnswer> =>
    gateway.ask(
      requestBytes(`OPTIONS ${path} HTTP/1.1`, [
        `Origin: ${origin}`,
        `Access-Control-Request-Method: ${method}`,
        "Access-Control-Request-Headers: if-match,x-other",
        "Cookie: __Host-tidegate=whatever",
      ]),
    );
  return { upstream, gateway, preflight, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

const corsOf = (answer: RawAnswer): Record<string, string> =>
  Object.fromEntries(
    answer.fields
      .map(([name, value]): [string, string] => [name.toLowerCase(), value])
      .filter(([name]) => name.startsWith("access-control-")),
  );
const varyOf = (answer: RawAnswer): string[] =>
  answer.fields.filter(([name]) => name.toLowerCase() === "vary").map(([, value]) => value);

describe("CORS", () => {
  test("a preflight of a foreign origin, or for a method that is not served, gets no leave", async () => {
    await using t = await setUp();
    for (const [origin, method] of [
      [FOREIGN, "PUT"],
      ["null", "PUT"],
      [`${APP}.attacker.example`, "PUT"],
      [APP.toUpperCase(), "PUT"],
    ] as const) {
      const answer = await t.preflight("/mine/1", origin, method);
      assert.equal(answer.status, 403, origin);
      assert.deepEqual(corsOf(answer), {});
      assert.ok(varyOf(answer).includes("Origin"));
    }
    assert.deepEqual(corsOf(await t.preflight("/mine/1", APP, "DELETE")), {});
    assert.deepEqual(corsOf(await t.preflight("/nowhere", APP)), {});
    assert.equal(t.upstream.requests.length, 0);
  });

  test("preflights are answered before anything is charged or identified, and never reach the service", async () => {
    await using t = await setUp();
    for (let count = 0; count < 20; count++) {
      const answer = await t.preflight("/mine/1", APP);
      assert.equal(answer.status, 204);
      assert.deepEqual(corsOf(answer), {
        "access-control-allow-origin": APP,
        "access-control-allow-credentials": "true",
        "access-control-expose-headers": EXPOSED,
        "access-control-allow-methods": "PUT",
        "access-control-allow-headers": "Authorization, Content-Type, Tidegate-CSRF, If-Match",
        "access-control-max-age": "60",
      });
    }
    assert.equal(t.upstream.requests.length, 0);
    // A route without CORS leaves it to its service.
    assert.equal((await t.preflight("/plain/1", APP)).status, 200);
    assert.equal(t.upstream.requests.length, 1);
  });

  test("answers carry the gateway's CORS fields, and never the service's own", async () => {
    await using t = await setUp();
    const mine = await t.gateway.ask(get("/mine/1", [`Origin: ${APP}`]));
    assert.deepEqual(corsOf(mine), {
      "access-control-allow-origin": APP,
      "access-control-allow-credentials": "true",
      "access-control-expose-headers": EXPOSED,
    });
    assert.deepEqual(varyOf(mine), ["Accept", "Origin"]);
    const foreign = await t.gateway.ask(get("/mine/1", [`Origin: ${FOREIGN}`]));
    assert.deepEqual(corsOf(foreign), {});
    assert.deepEqual(varyOf(foreign), ["Accept", "Origin"]);
    assert.deepEqual(varyOf(await t.gateway.ask(get("/mine/1"))), ["Accept", "Origin"]);
    const open = await t.gateway.ask(get("/open/1", [`Origin: ${FOREIGN}`]));
    assert.deepEqual(corsOf(open), {
      "access-control-allow-origin": "*",
      "access-control-expose-headers": `${EXPOSED}, ETag`,
    });
    const plain = await t.gateway.ask(get("/plain/1", [`Origin: ${FOREIGN}`]));
    assert.equal(corsOf(plain)["access-control-allow-origin"], "*");
  });

  test("refusals carry them too: who may not read why cannot obey", async () => {
    await using t = await setUp();
    const locked = await t.gateway.ask(get("/locked/1", [`Origin: ${APP}`]));
    assert.equal(locked.status, 401);
    assert.equal(corsOf(locked)["access-control-allow-origin"], APP);
    assert.equal(corsOf(locked)["access-control-expose-headers"], EXPOSED);
    let last = locked;
    for (let count = 0; count < 6; count++)
      last = await t.gateway.ask(get("/mine/1", [`Origin: ${APP}`]));
    assert.equal(last.status, 429);
    assert.equal(corsOf(last)["access-control-allow-origin"], APP);
    assert.deepEqual(varyOf(last), ["Origin"]);
  });
});

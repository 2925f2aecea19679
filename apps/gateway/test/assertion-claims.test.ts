// What services are told of people beside who they are: what their route asks for, from every kind of credential.

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { describe, test } from "node:test";
import { issuer, startUpstream, type Upstream } from "@tidegate/testkit";
import { WebSocket as WsClient } from "ws";
import { get, startGateway } from "./http-harness.ts";
import { SESSION, setUpSessions } from "./session-harness.ts";
import { TestBrowser } from "./test-browser.ts";

const AUDIENCE = "https://api.test";
const ALL = ["name", "preferred_username", "email", "email_verified"] as const;
const ADA = { name: "Ada L.", preferred_username: "ada", email: "a@b.test", email_verified: true };

/** What the last request told of the person. */
function toldOf({ requests }: Pick<Upstream, "requests">): object {
  const assertion = requests.at(-1)?.values("tidegate-assertion")[0] ?? "";
  const payload = Buffer.from(assertion.split(".")[1] ?? "", "base64url").toString();
  const claims = JSON.parse(payload) as Record<string, unknown>;
  return Object.fromEntries(ALL.flatMap((c) => (c in claims ? [[c, claims[c]]] : [])));
}

const routes = [
  { path: "/all", auth: { by: ["people"] }, claims: [...ALL] },
  { path: "/named", auth: { by: ["people"] }, claims: ["name" as const] },
  { path: "/none", auth: { by: ["people"] } },
];

test("a bearer token's claims go to the routes that ask for them, wrongly typed ones to nobody", async () => {
  await using people = await issuer();
  await using upstream = await startUpstream();
  await using gateway = await startGateway({
    targets: [upstream.url],
    identity: { people: { kind: "oidc", issuer: people.url, audience: AUDIENCE } },
    routes,
  });
  const ask = async (path: string, claims: object): Promise<object> => {
    const token = await people.mint({ ...claims });
    const answer = await gateway.ask(
      get(path, [
        `Authorization: Bearer ${token}`,
        "Tidegate-Name: Eve",
        "Tidegate-Assertion: e30.eyJuYW1lIjoiRXZlIn0.x",
      ]),
    );
    assert.equal(answer.status, 200);
    return toldOf(upstream);
  };
  const hostile = {
    name: "Ada\r\nTidegate-Role: admin",
    preferred_username: { $ne: "" },
    email: "x".repeat(5_000),
    email_verified: "true",
  };
  assert.deepEqual(await ask("/all", hostile), {});
  assert.deepEqual(await ask("/none", ADA), {});
  assert.deepEqual(await ask("/all", ADA), ADA);
  assert.deepEqual(await ask("/named", ADA), { name: ADA.name });
  assert.doesNotMatch(JSON.stringify(await gateway.loggedAtLeast("request", 4)), /Ada L|a@b\.test/);
});

for (const threads of [0, 2]) {
  describe(`claims over ${threads} workers`, () => {
    test("answers about opaque tokens and passwords bring them", async () => {
      await using provider = await startAsked();
      await using upstream = await startUpstream();
      await using gateway = await startGateway({
        targets: [upstream.url],
        threads,
        identity: {
          people: {
            kind: "oidc",
            issuer: provider.url,
            audience: AUDIENCE,
            tokenFormat: "opaque",
            client: { id: "gateway", secret: "a secret" },
            introspection: {},
            basic: { endpoint: `${provider.url}/basic`, realm: "tasks" },
          },
        },
        routes,
      });
      for (const credential of ["Bearer opaque", `Basic ${btoa("ada:right")}`]) {
        // The second time it is remembered.
        for (let times = 0; times < 2; times++) {
          const answer = await gateway.ask(get("/all", [`Authorization: ${credential}`]));
          assert.equal(answer.status, 200, credential);
          assert.deepEqual(toldOf(upstream), ADA, credential);
        }
      }
    });

    test("a ticket brings what its minting credential said", async () => {
      await using people = await issuer();
      await using upstream = await startUpstream();
      await using gateway = await startGateway({
        targets: [upstream.url],
        threads,
        identity: { people: { kind: "oidc", issuer: people.url, audience: AUDIENCE } },
        routes: [{ path: "/live", auth: { by: ["people"] }, websocket: {}, claims: [...ALL] }],
      });
      const base = `localhost:${gateway.port}`;
      const minted = await fetch(`http://${base}/.tidegate/tickets`, {
        method: "POST",
        headers: {
          "content-type": "application/json",
          authorization: `Bearer ${await people.mint(ADA)}`,
        },
        body: JSON.stringify({ path: "/live" }),
      });
      const { ticket } = (await minted.json()) as { ticket: string };
      const socket = new WsClient(`ws://${base}/live?tidegate_ticket=${ticket}`);
      await once(socket, "open");
      socket.terminate();
      assert.deepEqual(toldOf(upstream), ADA);
    });

    test("a browser session brings what its ID token said, after a restart too", async () => {
      await using t = await setUpSessions({
        threads,
        routes: [...routes, { path: "/open", navigable: true }],
      });
      const browser = await t.signedIn("ada");
      for (const when of ["now", "after a restart"]) {
        assert.equal((await t.call(browser, "/all")).status, 200, when);
        assert.deepEqual(toldOf(t.upstream), { name: "Name of ada" }, when);
        assert.equal((await t.call(browser, "/none")).status, 200, when);
        assert.deepEqual(toldOf(t.upstream), {}, when);
        if (when === "now") await t.restart();
      }
      // Everything that was asked for and granted stood in the ID token, or nobody granted it.
      assert.ok((t.provider.asked.get("/me") ?? 0) <= 1);
    });
  });
}

describe("user info at sign-in", () => {
  const setUp = async (claims: readonly (typeof ALL)[number][]) => {
    const t = await setUpSessions({
      namesPeople: false,
      accessTokenSeconds: 4,
      routes: [
        { path: "/all", auth: { by: ["people"] }, claims: [...claims] },
        { path: "/open", navigable: true },
      ],
    });
    // As providers do whose access tokens are for their user-info endpoint as well as for the API.
    const scope = "openid profile email tasks:read tasks:write";
    t.provider.tamper = (path, body) =>
      path === "/token" ? JSON.stringify({ ...(JSON.parse(body) as object), scope }) : body;
    return t;
  };

  test("about another person ends the sign-in, about nobody it says nothing", async () => {
    await using t = await setUp(["name"]);
    t.provider.userInfo = { sub: "eve", name: "Ada" };
    const browser = new TestBrowser();
    const answer = await browser.go(`${t.url}/.tidegate/sign-in?returnTo=/open`, { as: "ada" });
    assert.equal(answer.url.pathname, "/.tidegate/callback");
    assert.equal(browser.cookie("localhost", SESSION), undefined);
    const [line] = await t.gateway.loggedAtLeast("sign-in.failed", 1);
    assert.equal(line?.["why"], "user info is about another person");
    // Nobody will use what was granted.
    assert.equal(t.provider.asked.get("/token/revocation"), 1);

    for (const userInfo of [{ name: "Ada" }, { sub: ["ada"], name: "Ada" }]) {
      t.provider.userInfo = userInfo;
      const signedIn = await t.signedIn("ada");
      assert.equal((await t.call(signedIn, "/all")).status, 200);
      assert.deepEqual(toldOf(t.upstream), {});
    }
  });

  test("is asked for once, where a route wants what the ID token lacks, and survives a refresh", async () => {
    await using t = await setUp(["name", "email", "email_verified"]);
    t.provider.userInfo = { sub: "ada", ...ADA };
    const browser = await t.signedIn("ada");
    assert.equal((await t.call(browser, "/all")).status, 200);
    const { name, email, email_verified } = ADA;
    assert.deepEqual(toldOf(t.upstream), { name, email, email_verified });
    const tokens = t.provider.asked.get("/token") ?? 0;
    while ((t.provider.asked.get("/token") ?? 0) === tokens)
      assert.equal((await t.call(browser, "/all")).status, 200);
    assert.equal((await t.call(browser, "/all")).status, 200);
    assert.deepEqual(toldOf(t.upstream), { name, email, email_verified });
    assert.equal(t.provider.asked.get("/me"), 1);
  });

  test("is not asked for where no route wants it, and keeps nobody out when it does not answer", async () => {
    await using unasked = await setUp([]);
    await unasked.signedIn("ada");
    assert.equal(unasked.provider.asked.get("/me"), undefined);

    await using t = await setUp(["name"]);
    t.provider.outages.set("/me", 503);
    const browser = await t.signedIn("ada");
    assert.equal((await t.call(browser, "/all")).status, 200);
    assert.deepEqual(toldOf(t.upstream), {});
    assert.equal((await t.gateway.loggedAtLeast("profile.not-read", 1)).length, 1);
  });
});

/** A provider that answers about tokens and passwords. */
async function startAsked() {
  const server = createServer((request, response) => {
    request.resume();
    request.on("end", () => {
      if (request.url === "/.well-known/openid-configuration") {
        const metadata = { issuer: url, introspection_endpoint: `${url}/introspect` };
        response.end(JSON.stringify(metadata));
        return;
      }
      response.end(
        JSON.stringify({
          active: true,
          iss: url,
          sub: "person-1",
          aud: AUDIENCE,
          client_id: "web",
          token_type: "Bearer",
          exp: Math.floor(Date.now() / 1_000) + 300,
          ...ADA,
        }),
      );
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  const url = `http://127.0.0.1:${address.port}`;
  return {
    url,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

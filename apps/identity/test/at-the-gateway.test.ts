// The embedded provider and a real gateway, as `npm start` runs them: what is ended or bound at the one is so at the other.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { startChromium, startProcess, tempFolder, waitFor } from "@tidegate/testkit";
import * as client from "openid-client";
import { flowBrowser } from "./flow-browser.ts";

const LAUNCHER = new URL("../../../tools/start/main.ts", import.meta.url).pathname;
const CALLBACK = "http://127.0.0.1:9/callback";

async function startDemo() {
  await using parts = new AsyncDisposableStack();
  const folder = parts.use(await tempFolder());
  const running = parts.use(
    await startProcess({
      args: [LAUNCHER],
      cwd: folder.path,
      env: {
        TIDEGATE_PORT: "0",
        TIDEGATE_ADMIN_PORT: "0",
        TIDEGATE_IDENTITY_PORT: "0",
        TIDEGATE_DATA: folder.file("data"),
      },
      readyWhen: "Tidegate is ready\n",
      deadlineMs: 60_000,
    }),
  );
  const read = (name: string): string => readFileSync(folder.file("data", name), "utf8");
  const ports = JSON.parse(read("ports.json")) as Record<string, number>;
  const users = JSON.parse(read("demo-users.json")) as Record<string, string>;
  const owned = parts.move();
  return {
    running,
    gateway: `http://localhost:${ports["gateway"]}`,
    issuer: `http://localhost:${ports["identity"]}`,
    clientSecret: (JSON.parse(read("gateway-client.json")) as { secret: string }).secret,
    passwordOf: (who: string): string => users[who] ?? "",
    async administer(path: string): Promise<void> {
      const answer = await fetch(`http://127.0.0.1:${ports["identityAdmin"]}${path}`, {
        method: "POST",
        headers: { authorization: `Bearer ${read("identity/admin-token").trim()}` },
      });
      assert.equal(answer.status, 200);
      await answer.body?.cancel();
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

type Demo = Awaited<ReturnType<typeof startDemo>>;

/** The command line's client: public, on loopback, asked for consent. */
async function signInAtClient(
  demo: Demo,
  options: {
    readonly resource: string;
    readonly keys?: Parameters<typeof client.getDPoPHandle>[1];
  },
) {
  const config = await client.discovery(
    new URL(demo.issuer),
    "tidegate-cli",
    undefined,
    client.None(),
    { execute: [client.allowInsecureRequests] },
  );
  const verifier = client.randomPKCECodeVerifier();
  const url = client.buildAuthorizationUrl(config, {
    redirect_uri: CALLBACK,
    scope: "openid tasks:read",
    resource: options.resource,
    code_challenge: await client.calculatePKCECodeChallenge(verifier),
    code_challenge_method: "S256",
  });
  const browser = flowBrowser(demo.issuer);
  await browser.open(url.href);
  await browser.submit({ login: "ada", password: demo.passwordOf("ada") });
  const shown = await browser.submit({ decision: "allow" });
  const dpop =
    options.keys === undefined ? {} : { DPoP: client.getDPoPHandle(config, options.keys) };
  const tokens = await client.authorizationCodeGrant(
    config,
    new URL(shown.url),
    { pkceCodeVerifier: verifier },
    {},
    dpop,
  );
  return { config, tokens };
}

async function statusOf(url: string, headers: Readonly<Record<string, string>>): Promise<number> {
  const answer = await fetch(url, { headers });
  await answer.body?.cancel();
  return answer.status;
}

describe("the embedded provider behind the gateway", () => {
  test("disabling a person ends their live socket, browser session, tokens of every kind, passwords and refreshes, and nobody else's", async () => {
    await using demo = await startDemo();
    await using chromium = await startChromium();
    await using person = await chromium.newPerson();
    const page = await person.newPage();
    await page.goto(`${demo.gateway}/.tidegate/sign-in?returnTo=/`);
    await page.fill("input[name=login]", "ada");
    await page.fill("input[name=password]", demo.passwordOf("ada"));
    await page.click("button[type=submit]");
    await page.waitForURL(`${demo.gateway}/`);
    await page.evaluate(`new Promise((opened, failed) => {
      window.live = new WebSocket(location.origin.replace("http", "ws") + "/tasks/live");
      window.liveEnded = new Promise((done) => live.addEventListener("close", (event) => done(event.code)));
      live.addEventListener("open", opened);
      live.addEventListener("error", failed);
    })`);
    const tasks = `${demo.gateway}/tasks`;
    const asPage = (): Promise<number> =>
      page.evaluate(
        async () => (await fetch("/tasks", { headers: { "Tidegate-CSRF": "1" } })).status,
      );
    const basic = `Basic ${Buffer.from(`ada:${demo.passwordOf("ada")}`).toString("base64")}`;
    const jwt = await signInAtClient(demo, { resource: demo.gateway });
    const opaque = await signInAtClient(demo, { resource: `${demo.gateway}/opaque` });
    const asGateway = await client.discovery(
      new URL(demo.issuer),
      "gateway",
      undefined,
      client.ClientSecretBasic(demo.clientSecret),
      { execute: [client.allowInsecureRequests] },
    );
    const ways = {
      session: asPage,
      basic: () => statusOf(tasks, { authorization: basic }),
      jwt: () => statusOf(tasks, { authorization: `Bearer ${jwt.tokens.access_token}` }),
      // The demo's routes take JWTs: what a gateway would be told that asks about an opaque one (RFC 7662).
      async opaque() {
        const { active } = await client.tokenIntrospection(asGateway, opaque.tokens.access_token);
        return active ? 200 : 401;
      },
    };
    for (const [way, ask] of Object.entries(ways)) assert.equal(await ask(), 200, way);

    await demo.administer("/people/ada/disable");
    const code = await page.evaluate<number>("window.liveEnded");
    assert.ok(code === 4410 || code === 4401, `closed with ${code}`);
    for (const way of ["session", "opaque", "basic", "jwt"] as const) {
      await waitFor(async () => (await ways[way]()) === 401, { what: `the end of ${way}` });
    }
    for (const { config, tokens } of [jwt, opaque]) {
      await assert.rejects(client.refreshTokenGrant(config, tokens.refresh_token ?? ""), {
        error: "invalid_grant",
      });
    }
    const grace = `Basic ${Buffer.from(`grace:${demo.passwordOf("grace")}`).toString("base64")}`;
    assert.equal(await statusOf(tasks, { authorization: grace }), 200, "nobody else is touched");
  });

  test("a token bound to a key (DPoP) is taken with its proof alone, and a refresh keeps the key", async () => {
    await using demo = await startDemo();
    const keys = await client.randomDPoPKeyPair("ES256");
    const thiefKeys = await client.randomDPoPKeyPair("ES256");
    const tasks = new URL(`${demo.gateway}/tasks`);
    const { config, tokens } = await signInAtClient(demo, {
      resource: demo.gateway,
      keys,
    });
    const DPoP = client.getDPoPHandle(config, keys);
    const thief = client.getDPoPHandle(config, thiefKeys);
    const bound = (token: string): unknown =>
      (
        JSON.parse(Buffer.from(token.split(".")[1] ?? "", "base64url").toString()) as {
          cnf?: unknown;
        }
      ).cnf;
    const ask = async (token: string, handle: client.DPoPHandle): Promise<number> => {
      try {
        const answer = await client.fetchProtectedResource(
          config,
          token,
          tasks,
          "GET",
          undefined,
          undefined,
          { DPoP: handle },
        );
        await answer.body?.cancel();
        return answer.status;
      } catch (error) {
        if (error instanceof client.WWWAuthenticateChallengeError) return error.status;
        throw error;
      }
    };
    assert.equal(tokens.token_type, "dpop");
    // Stolen: as a plain token, or with the proof of another key.
    const plain = { authorization: `Bearer ${tokens.access_token}` };
    assert.equal(await statusOf(tasks.href, plain), 401);
    assert.equal(await ask(tokens.access_token, thief), 401);
    assert.equal(await ask(tokens.access_token, DPoP), 200);
    const refreshToken = tokens.refresh_token ?? "";
    // RFC 9449 §5: a public client's refresh token is bound as well.
    await assert.rejects(client.refreshTokenGrant(config, refreshToken));
    await assert.rejects(
      client.refreshTokenGrant(config, refreshToken, undefined, { DPoP: thief }),
    );
    const next = await client.refreshTokenGrant(config, refreshToken, undefined, { DPoP });
    assert.deepEqual(bound(next.access_token), bound(tokens.access_token));
    assert.match(JSON.stringify(bound(next.access_token)), /^\{"jkt":"[\w-]{43}"\}$/);
    assert.equal(await ask(next.access_token, thief), 401);
    assert.equal(await ask(next.access_token, DPoP), 200);
  });
});

import assert from "node:assert/strict";
import { describe, mock, test, type TestContext } from "node:test";
import * as client from "openid-client";
import { startIdentityUnderTest, type RelyingParty, type Tokens } from "./identity-under-test.ts";

const refresh = (party: RelyingParty, token: string | undefined): Promise<Tokens> =>
  client.refreshTokenGrant(party.config, token ?? "");

function claimsOf(accessToken: string): Record<string, unknown> {
  const payload = Buffer.from(accessToken.split(".")[1] ?? "", "base64url").toString();
  return JSON.parse(payload) as Record<string, unknown>;
}

/** Time as the provider and its library read it; timers go on as they are. */
function later(context: TestContext): (seconds: number) => void {
  mock.timers.enable({ apis: ["Date"], now: Date.now() });
  context.after(() => mock.timers.reset());
  return (seconds) => mock.timers.setTime(Date.now() + seconds * 1_000);
}

describe("a refresh token", () => {
  test("gives one and the same successor to everybody who presents it within ten seconds", async () => {
    await using identity = await startIdentityUnderTest();
    const party = await identity.relyingParty();
    const first = await party.signIn(identity.browser());
    const answers = await Promise.all(
      Array.from({ length: 6 }, () => refresh(party, first.refresh_token)),
    );
    const successors = new Set(answers.map((answer) => answer.refresh_token));
    assert.equal(successors.size, 1);
    assert.notEqual([...successors][0], first.refresh_token);
    const late = await refresh(party, first.refresh_token);
    assert.equal(successors.has(late.refresh_token), true);
    const next = await refresh(party, late.refresh_token);
    assert.notEqual(next.refresh_token, late.refresh_token);
    // The first comes once more, after its successor was used: still the same successor, and nothing is revoked.
    assert.equal((await refresh(party, first.refresh_token)).refresh_token, late.refresh_token);
    assert.ok((await refresh(party, next.refresh_token)).access_token);
  });

  test("that is used again after the grace revokes its whole family", async (context) => {
    await using identity = await startIdentityUnderTest();
    const party = await identity.relyingParty();
    const first = await party.signIn(identity.browser());
    const wait = later(context);
    const second = await refresh(party, first.refresh_token);
    wait(11);
    await assert.rejects(refresh(party, first.refresh_token), { error: "invalid_grant" });
    await assert.rejects(refresh(party, second.refresh_token), { error: "invalid_grant" });
    assert.ok(identity.log().some(({ event }) => event === "refresh_token.reused"));
    // It was this client's family: the person is still signed in, and another client's tokens are good.
    const other = await identity.relyingParty("profile-only");
    const browser = identity.browser();
    await party.signIn(browser);
    const theirs = await other.signIn(browser);
    assert.ok((await refresh(other, theirs.refresh_token)).access_token);
  });

  test("survives a restart, with its grace and its successor", async () => {
    await using identity = await startIdentityUnderTest();
    const party = await identity.relyingParty();
    const first = await party.signIn(identity.browser());
    const second = await refresh(party, first.refresh_token);
    await identity.restart();
    assert.equal((await refresh(party, first.refresh_token)).refresh_token, second.refresh_token);
    assert.ok((await refresh(party, second.refresh_token)).access_token);
  });

  test("changes nothing about the sign-in, however often", async (context) => {
    await using identity = await startIdentityUnderTest();
    const party = await identity.relyingParty();
    let tokens = await party.signIn(identity.browser());
    const signedIn = claimsOf(tokens.access_token);
    const wait = later(context);
    for (let round = 0; round < 4; round++) {
      wait(3_000);
      tokens = await refresh(party, tokens.refresh_token);
      const claims = claimsOf(tokens.access_token);
      for (const name of ["auth_time", "acr", "amr", "sid", "sub", "aud", "client_id", "scope"]) {
        assert.deepEqual(claims[name], signedIn[name], name);
      }
      assert.notEqual(claims["jti"], signedIn["jti"]);
      assert.ok(Number(claims["iat"]) > Number(signedIn["iat"]));
    }
  });

  test("ends 14 days after the sign-in, however often it was used, and after a day without use", async (context) => {
    await using identity = await startIdentityUnderTest();
    const party = await identity.relyingParty();
    let tokens = await party.signIn(identity.browser());
    const idle = await party.signIn(identity.browser());
    const wait = later(context);
    for (let half = 0; half < 27; half++) {
      wait(43_000);
      tokens = await refresh(party, tokens.refresh_token);
    }
    await assert.rejects(refresh(party, idle.refresh_token), { error: "invalid_grant" });
    wait(14 * 86_400 - 27 * 43_000 - 5);
    tokens = await refresh(party, tokens.refresh_token);
    wait(6);
    await assert.rejects(refresh(party, tokens.refresh_token), { error: "invalid_grant" });
  });

  test("is refused to another client, and widens no scope", async () => {
    await using identity = await startIdentityUnderTest();
    const party = await identity.relyingParty();
    const tokens = await party.signIn(identity.browser());
    const thief = await identity.relyingParty("stranger");
    await assert.rejects(refresh(thief, tokens.refresh_token), { error: "invalid_grant" });
    await assert.rejects(
      client.refreshTokenGrant(party.config, tokens.refresh_token ?? "", { scope: "tasks:write" }),
      { error: "invalid_scope" },
    );
    assert.ok((await refresh(party, tokens.refresh_token)).access_token);
  });

  test("lies in the database as a hash alone, as do sessions and codes", async () => {
    await using identity = await startIdentityUnderTest();
    const party = await identity.relyingParty();
    const browser = identity.browser();
    const tokens = await party.signIn(browser);
    const request = await party.begin();
    const shown = await browser.open(request.url);
    const { readFileSync, readdirSync } = await import("node:fs");
    const cookie = [...browser.cookies].find(([name]) =>
      name.startsWith("__Host-identity-session;"),
    );
    const secrets = [
      tokens.refresh_token ?? "missing",
      new URL(shown.url).searchParams.get("code") ?? "missing",
      cookie?.[1].value ?? "missing",
    ];
    const files = readdirSync(identity.folder).filter((name) => name.startsWith("identity.sqlite"));
    assert.ok(files.length > 0);
    for (const file of files) {
      const bytes = readFileSync(`${identity.folder}/${file}`);
      for (const secret of secrets) assert.equal(bytes.includes(secret), false, file);
    }
  });
});

// How browser sessions are renewed, move, and end, at the real gateway with a provider that is not ours.

import assert from "node:assert/strict";
import { once } from "node:events";
import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { describe, test } from "node:test";
import { waitFor } from "@tidegate/testkit";
import {
  openSocket,
  SESSION,
  setUpSessions,
  shiftedClock,
  statusOf,
  type SessionSetUp,
} from "./session-harness.ts";

const refreshes = (t: SessionSetUp): number => (t.provider.asked.get("/token") ?? 0) - 1;

async function revoke({ gateway }: SessionSetUp, query: string): Promise<void> {
  const token = (await readFile(join(gateway.dataFolder, "admin-token"), "utf8")).trim();
  const answer = await fetch(new URL(`/revocations?issuer=people&${query}`, gateway.adminUrl), {
    method: "POST",
    headers: { authorization: `Bearer ${token}` },
  });
  assert.equal(answer.status, 200, await answer.text());
}

describe("browser sessions: renewal", () => {
  test("50 calls at once over 2 workers, when it is time, make exactly 1 refresh, and all are let in", async () => {
    const clock = shiftedClock();
    await using t = await setUpSessions({ threads: 2, clock });
    const browser = await t.signedIn("ada");
    clock.shiftMs = 270_000;
    // So that every call is there before the first answer is.
    let release = (): void => {};
    const held = new Promise<void>((resolve) => (release = resolve));
    t.provider.before.set("/token", () => held);
    const calls = Array.from({ length: 50 }, () => statusOf(t, browser));
    await waitFor(() => t.provider.asked.get("/token") === 2, { what: "the refresh" });
    release();
    const statuses = await Promise.all(calls);
    assert.deepEqual(new Set(statuses), new Set([200]));
    assert.equal(refreshes(t), 1);
    const requests = await t.gateway.loggedAtLeast("request", 50);
    const workers = new Set(
      requests.map(({ connection }) => Math.floor(Number(connection) / 2 ** 32)),
    );
    assert.equal(workers.size, 2, "both workers served");
  });

  test("an outage ends no session and lets nobody in beyond what was granted; the cookie stays", async () => {
    await using t = await setUpSessions({ threads: 2, accessTokenSeconds: 4 });
    const browser = await t.signedIn("ada");
    const secret = browser.cookie("localhost", SESSION);
    t.provider.outages.set("/token", 503);
    assert.equal(await statusOf(t, browser), 200);
    const out = await waitFor(
      async () => {
        const answer = await t.call(browser, "/tasks/1");
        return answer.status === 200 ? undefined : answer;
      },
      { what: "the end of the grant", deadlineMs: 10_000 },
    );
    assert.equal(out.status, 503);
    assert.ok(Number(out.headers["retry-after"]) >= 1);
    assert.equal(out.headers["www-authenticate"], undefined);
    assert.equal(out.headers["set-cookie"], undefined);
    t.provider.outages.clear();
    await waitFor(async () => (await statusOf(t, browser)) === 200, {
      what: "the provider's return",
      deadlineMs: 15_000,
    });
    assert.equal(browser.cookie("localhost", SESSION), secret);
    assert.equal((await t.gateway.logged("session.ended")).length, 0);
  });

  test("a refresh that the provider refuses ends the session everywhere, without touching the cookie", async () => {
    const clock = shiftedClock();
    await using t = await setUpSessions({ threads: 2, clock });
    const browser = await t.signedIn("ada");
    clock.shiftMs = 270_000;
    t.provider.outages.set("/token", 400);
    for (let calls = 0; calls < 6; calls++) {
      const answer = await t.call(browser, "/tasks/1");
      assert.equal(answer.status, 401);
      assert.equal(answer.headers["set-cookie"], undefined);
    }
    assert.equal(refreshes(t), 1);
    const [ended] = await t.gateway.loggedAtLeast("session.ended", 1);
    assert.equal(ended?.["why"], "refused-by-provider");
    assert.equal((await t.session(browser))["signedIn"], false);
  });

  test("a refusal without a reason ends the session once its tokens are over, and not before", async () => {
    const clock = shiftedClock();
    await using t = await setUpSessions({ clock });
    const browser = await t.signedIn("ada");
    t.provider.isTaciturn = true;
    t.provider.outages.set("/token", 400);
    clock.shiftMs = 270_000;
    assert.equal(await statusOf(t, browser), 200);
    assert.equal(refreshes(t), 1);
    assert.equal((await t.gateway.logged("session.ended")).length, 0);
    clock.shiftMs = 301_000;
    await waitFor(async () => (await statusOf(t, browser)) === 401, {
      what: "the end of the session",
      deadlineMs: 10_000,
    });
    const [ended] = await t.gateway.loggedAtLeast("session.ended", 1);
    assert.equal(ended?.["why"], "refused-by-provider");
    assert.equal((await t.session(browser))["signedIn"], false);
  });

  test("a refresh that names another person ends the session", async () => {
    const clock = shiftedClock();
    await using t = await setUpSessions({ clock });
    const browser = await t.signedIn("ada");
    const mallory: string[] = [];
    t.provider.tamper = (path, body) => {
      if (path === "/token") mallory.push(body);
      return body;
    };
    await t.signedIn("mallory");
    clock.shiftMs = 270_000;
    t.provider.tamper = (path, body) => (path === "/token" ? (mallory[0] ?? "") : body);
    assert.equal(await statusOf(t, browser), 401);
    const ended = await t.gateway.loggedAtLeast("session.ended", 1);
    assert.equal(ended[0]?.["subject"], "ada");
  });

  test("a session that cannot be renewed ends with what was granted", async () => {
    const clock = shiftedClock();
    await using t = await setUpSessions({ clock, issuesRefreshTokens: false });
    const browser = await t.signedIn("ada");
    assert.equal(await statusOf(t, browser), 200);
    assert.ok(Number((await t.session(browser))["expiresInSeconds"]) <= 300);
    clock.shiftMs = 301_000;
    assert.equal((await t.session(browser))["signedIn"], false);
  });

  test("a socket follows its session: it outlives the tokens it began with, and ends with the session", async () => {
    await using t = await setUpSessions({ threads: 2, accessTokenSeconds: 3 });
    const browser = await t.signedIn("ada");
    const { closed, isOpen, socket } = await openSocket(t, browser);
    await waitFor(() => refreshes(t) >= 3, { what: "three refreshes", deadlineMs: 20_000 });
    assert.equal(isOpen(), true);
    socket.send("still here");
    const [echoed] = (await once(socket, "message")) as [Buffer];
    assert.equal(String(echoed), "still here");
    await t.call(browser, "/.tidegate/sign-out", { method: "POST" });
    assert.equal(await closed, "4410,session-revoked");
  });
});

describe("browser sessions: their end", () => {
  test("idle and absolute limits end a session, however it is used", async () => {
    const clock = shiftedClock();
    const sessions = { idleTimeoutSeconds: 600, absoluteTimeoutSeconds: 1_000 };
    await using t = await setUpSessions({ clock, sessions, accessTokenSeconds: 3_600 });
    const idle = await t.signedIn("ada");
    const busy = await t.signedIn("bob");
    clock.shiftMs = 500_000;
    assert.equal((await t.session(idle))["expiresInSeconds"], 99);
    assert.equal(await statusOf(t, busy), 200);
    clock.shiftMs = 601_000;
    // Asking who one is does not keep a session alive.
    assert.equal(await statusOf(t, idle), 401);
    assert.equal((await t.session(busy))["signedIn"], true);
    clock.shiftMs = 1_001_000;
    assert.equal((await t.session(busy))["signedIn"], false);
    const ended = await t.gateway.loggedAtLeast("session.ended", 2);
    assert.deepEqual(
      ended.map(({ why }) => why),
      ["idle", "expired"],
    );
  });

  test("of more sessions than one person may have, the one that was not used for longest ends", async () => {
    await using t = await setUpSessions({ threads: 2, sessions: { maxPerPerson: 2 } });
    const browsers = [await t.signedIn("ada"), await t.signedIn("ada")];
    const other = await t.signedIn("bob");
    browsers.push(await t.signedIn("ada"));
    const statuses = [];
    for (const browser of [...browsers, other]) statuses.push(await statusOf(t, browser));
    assert.deepEqual(statuses, [401, 200, 200, 200]);
  });

  test("a session survives a restart; nobody can be anybody by reading the data folder", async () => {
    const secrets: string[] = [];
    await using t = await setUpSessions({ threads: 2 });
    t.provider.tamper = (path, body) => {
      if (path === "/token") {
        const tokens = JSON.parse(body) as Record<string, string>;
        secrets.push(tokens["access_token"] ?? "", tokens["refresh_token"] ?? "", tokens["id_token"] ?? ""); // prettier-ignore
      }
      return body;
    };
    const browser = await t.signedIn("ada");
    secrets.push(browser.cookie("localhost", SESSION) ?? "");
    const folder = t.gateway.dataFolder;
    const files = await readdir(folder);
    assert.ok(files.includes("session-keys.json"));
    for (const file of files) {
      const path = join(folder, file);
      if (!(await stat(path)).isFile()) continue;
      const bytes = await readFile(path, "latin1");
      for (const secret of secrets) assert.ok(secret !== "" && !bytes.includes(secret), file);
      if (/gateway\.sqlite|session-keys/.test(file))
        assert.equal((await stat(path)).mode & 0o777, 0o600, file);
    }
    await t.restart();
    assert.equal(await statusOf(t, browser), 200);
    assert.equal((await t.session(browser))["name"], "Name of ada");
  });

  test("an ended session at the provider ends the sessions here that came from it, and no other of that person", async () => {
    await using t = await setUpSessions({ threads: 2 });
    const sids: string[] = [];
    t.provider.tamper = (path, body) => {
      if (path === "/token") {
        const [, payload = ""] = (JSON.parse(body) as { id_token: string }).id_token.split(".");
        sids.push(
          (JSON.parse(Buffer.from(payload, "base64url").toString()) as { sid: string }).sid,
        );
      }
      return body;
    };
    const browser = await t.signedIn("ada");
    const other = await t.signedIn("ada");
    assert.equal(new Set(sids).size, 2);
    await revoke(t, `session=${sids[0]}`);
    for (let calls = 0; calls < 6; calls++) assert.equal(await statusOf(t, browser), 401);
    assert.equal(await statusOf(t, other), 200);
    const ended = await t.gateway.loggedAtLeast("session.ended", 1);
    assert.deepEqual(
      ended.map(({ why }) => why),
      ["revoked"],
    );
  });

  test("revoking a person ends their sessions and gives their refresh tokens back", async () => {
    await using t = await setUpSessions({ threads: 2 });
    const browser = await t.signedIn("ada");
    const other = await t.signedIn("bob");
    const { closed } = await openSocket(t, browser);
    await revoke(t, "subject=ada");
    for (let calls = 0; calls < 6; calls++) assert.equal(await statusOf(t, browser), 401);
    assert.equal(await statusOf(t, other), 200);
    assert.equal(await closed, "4410,session-revoked");
    const ended = await t.gateway.loggedAtLeast("session.ended", 1);
    assert.deepEqual(
      ended.map(({ subject, why }) => [subject, why]),
      [["ada", "revoked"]],
    );
    await waitFor(() => t.provider.asked.get("/token/revocation") === 1, {
      what: "the revocation at the provider",
    });
  });
});

describe("browser sessions of a provider that does not say when somebody signed in", () => {
  test("are ended by revoking their person, who gets in by signing in anew, and not before", async () => {
    const clock = shiftedClock();
    await using t = await setUpSessions({ clock, authTimeFrom: "none" });
    const browser = await t.signedIn("ada");
    const { closed } = await openSocket(t, browser);
    clock.shiftMs = 1_000;
    await revoke(t, "subject=ada");
    assert.equal(await closed, "4410,session-revoked");
    assert.equal(await statusOf(t, browser), 401);
    const hasty = await t.signedIn("ada");
    assert.equal(await statusOf(t, hasty), 401, "in the doubtful seconds");
    clock.shiftMs = 8_000;
    const again = await t.signedIn("ada");
    assert.equal(await statusOf(t, again), 200);
    assert.equal(await statusOf(t, hasty), 401);
  });

  test("are revoked without waiting for a provider that hangs when it should take the refresh token back", async () => {
    await using t = await setUpSessions({ threads: 2 });
    const browser = await t.signedIn("ada");
    let release = (): void => {};
    const held = new Promise<void>((resolve) => (release = resolve));
    t.provider.before.set("/token/revocation", () => held);
    await revoke(t, "subject=ada");
    assert.equal(await statusOf(t, browser), 401);
    await waitFor(() => t.provider.asked.get("/token/revocation") === 1, {
      what: "the revocation at the provider",
    });
    release();
  });
});

describe("browser sessions: two things at once", () => {
  test("signing out while a refresh is under way: the session is over, and what comes late is given back", async () => {
    const clock = shiftedClock();
    await using t = await setUpSessions({ threads: 2, clock });
    const browser = await t.signedIn("ada");
    const secret = browser.cookie("localhost", SESSION) ?? "";
    clock.shiftMs = 270_000;
    let release = (): void => {};
    const held = new Promise<void>((resolve) => (release = resolve));
    t.provider.before.set("/token", () => held);
    const calls = Array.from({ length: 6 }, () => statusOf(t, browser));
    await waitFor(() => refreshes(t) === 1, { what: "the refresh" });
    assert.equal((await t.call(browser, "/.tidegate/sign-out", { method: "POST" })).status, 200);
    release();
    assert.deepEqual(new Set(await Promise.all(calls)), new Set([401]));
    browser.cookies.get("localhost")?.set(SESSION, secret);
    assert.equal(await statusOf(t, browser), 401);
    await waitFor(() => (t.provider.asked.get("/token/revocation") ?? 0) >= 1, {
      what: "the revocation at the provider",
    });
  });

  test("signing in anew while a refresh is under way: the new session is not harmed by the old one's end", async () => {
    const clock = shiftedClock();
    await using t = await setUpSessions({ threads: 2, clock });
    const browser = await t.signedIn("ada");
    clock.shiftMs = 270_000;
    let release = (): void => {};
    let isFirst = true;
    const held = new Promise<void>((resolve) => (release = resolve));
    t.provider.before.set("/token", async () => {
      const waits = isFirst;
      isFirst = false;
      if (waits) await held;
    });
    const call = statusOf(t, browser);
    await waitFor(() => refreshes(t) === 1, { what: "the refresh" });
    const again = t.signedIn("ada", browser);
    await waitFor(() => refreshes(t) === 2, { what: "the new sign-in" });
    release();
    await again;
    assert.ok([200, 401].includes(await call));
    assert.equal(await statusOf(t, browser), 200);
    clock.shiftMs = 0;
    assert.equal(await statusOf(t, browser), 200);
    assert.equal(t.provider.asked.get("/token/revocation"), undefined);
  });

  test("another person at the same browser: what the first one had open ends with 4403", async () => {
    await using t = await setUpSessions({ threads: 2 });
    const browser = await t.signedIn("ada");
    const { closed } = await openSocket(t, browser);
    // The provider has forgotten who was there.
    browser.cookies.delete("127.0.0.1");
    await t.signedIn("bob", browser);
    assert.equal(await closed, "4403,identity-changed");
    assert.equal((await t.session(browser))["name"], "Name of bob");
  });
});

// The launcher as a person meets it: its output, its files, its processes.

import assert from "node:assert/strict";
import { existsSync, readFileSync, statSync } from "node:fs";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import {
  rawConnection,
  startProcess,
  startRawServer,
  tempFolder,
  waitFor,
  type RunningProcess,
  type TempFolder,
} from "@tidegate/testkit";

const MAIN = new URL("main.ts", import.meta.url).pathname;
const READY = "Tidegate is ready\n";

/** A start on free ports with a data folder that does not exist yet. */
function launch(
  folder: TempFolder,
  options: { readonly env?: Record<string, string>; readonly readyWhen?: string } = {},
): Promise<RunningProcess> {
  return startProcess({
    args: [MAIN],
    cwd: folder.path,
    env: {
      TIDEGATE_PORT: "0",
      TIDEGATE_ADMIN_PORT: "0",
      TIDEGATE_IDENTITY_PORT: "0",
      TIDEGATE_DATA: folder.file("data"),
      ...options.env,
    },
    deadlineMs: 40_000,
    ...(options.readyWhen === undefined ? {} : { readyWhen: options.readyWhen }),
  });
}

const readJson = (path: string): Record<string, unknown> => JSON.parse(readFileSync(path, "utf8"));

/** Process ids of what the launcher started. */
function childrenOf(pid: number): number[] {
  const text = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8");
  return text.trim().split(" ").map(Number);
}

const isGone = (pid: number): boolean => !existsSync(`/proc/${pid}`);

function urlOf(launcher: RunningProcess): string {
  return /Gateway +(http:\/\/localhost:\d+)/.exec(launcher.output())?.[1] ?? "";
}

function identityOf(launcher: RunningProcess): string {
  return /Identity +(http:\/\/localhost:\d+)/.exec(launcher.output())?.[1] ?? "";
}

/** Signs somebody in on the identity provider's own pages. */
async function canSignIn(identity: string, login: string, password: string): Promise<boolean> {
  const page = await fetch(`${identity}/sign-in`);
  const cookies = page.headers.getSetCookie().map((line) => line.split(";", 1)[0]);
  const formToken = /name="formToken" value="([^"]*)"/.exec(await page.text())?.[1] ?? "";
  const answer = await fetch(`${identity}/sign-in`, {
    method: "POST",
    headers: { origin: identity, cookie: cookies.join("; ") },
    body: new URLSearchParams({ formToken, login, password }),
    redirect: "manual",
  });
  await answer.body?.cancel();
  return answer.headers.get("location") === "/account";
}

/** The status of GET /tasks as one of the demo's people. */
async function statusFor(url: string, user: string, password: unknown): Promise<number> {
  const authorization = `Basic ${Buffer.from(`${user}:${String(password)}`).toString("base64")}`;
  const answer = await fetch(`${url}/tasks`, { headers: { authorization } });
  await answer.body?.cancel();
  return answer.status;
}

test("npm start refuses to listen beyond loopback and to use a port or folder twice", async () => {
  await using folder = await tempFolder();
  await using beyond = await launch(folder, { env: { TIDEGATE_HOST: "0.0.0.0" } });
  assert.equal((await beyond.exited()).code, 1);
  assert.match(beyond.stderr(), /TIDEGATE_HOST=0\.0\.0\.0 is not loopback/);
  assert.equal(existsSync(folder.file("data")), false);

  await using taken = await startRawServer();
  await using collides = await launch(folder, { env: { TIDEGATE_PORT: String(taken.port) } });
  assert.equal((await collides.exited()).code, 1);
  assert.match(collides.stderr(), new RegExp(`port ${taken.port} is in use.*TIDEGATE_PORT`));

  await using first = await launch(folder, { readyWhen: READY });
  await using second = await launch(folder);
  assert.equal((await second.exited()).code, 1);
  assert.match(second.stderr(), new RegExp(`process ${first.pid} already runs`));
  assert.equal(first.exit(), undefined);
});

test("npm start shows people, addresses and commands, keeps them private, and Ctrl-C stops everything", async () => {
  await using folder = await tempFolder();
  const file = (name: string): string => folder.file("data", name);
  await using first = await launch(folder, { readyWhen: READY });
  const users = readJson(file("demo-users.json"));
  assert.deepEqual(Object.keys(users), ["ada", "grace"]);
  const url = urlOf(first);
  for (const [user, password] of Object.entries(users)) {
    assert.match(first.output(), new RegExp(`${user} +${String(password)}`));
    assert.equal(await statusFor(url, user, password), 200);
    assert.equal(await statusFor(url, user, "wrong"), 401);
    assert.equal(await canSignIn(identityOf(first), user, String(password)), true);
    assert.equal(await canSignIn(identityOf(first), user, "wrong"), false);
  }
  assert.match(first.output(), /Admin +http:\/\/localhost:\d+/);
  assert.equal(statSync(folder.file("data")).mode & 0o777, 0o700);
  for (const name of [
    "demo-users.json",
    "ports.json",
    "clients.json",
    "gateway-client.json",
    "gateway/admin-token",
    "identity/admin-token",
    "identity/signing-keys.json",
  ]) {
    assert.equal(statSync(file(name)).mode & 0o777, 0o600, name);
  }
  const children = childrenOf(first.pid);
  assert.equal(children.length, 4);

  assert.deepEqual(await first.stop({ signal: "SIGINT", deadlineMs: 30_000 }), {
    code: 0,
    signal: null,
  });
  for (const pid of children) assert.ok(isGone(pid));
  const { port } = new URL(url);
  await assert.rejects(rawConnection(Number(port)), { code: "ECONNREFUSED" });
  assert.equal(existsSync(file("launcher.lock")), false);

  await using second = await launch(folder, { readyWhen: READY });
  assert.equal(urlOf(second), url);
  assert.deepEqual(readJson(file("demo-users.json")), users);
  assert.equal(await statusFor(url, "ada", users["ada"]), 200);
  assert.equal(identityOf(second), identityOf(first));
  assert.equal(await canSignIn(identityOf(second), "ada", String(users["ada"])), true);
});

test("npm start starts again what crashed, and what it started ends when it is killed itself", async () => {
  await using folder = await tempFolder();
  await using launcher = await launch(folder, { readyWhen: READY });
  const url = urlOf(launcher);
  const { ada } = readJson(folder.file("data", "demo-users.json"));
  for (const name of ["tasks", "workspace", "identity", "gateway"]) {
    const victim = childrenOf(launcher.pid).find((pid) =>
      readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(`apps/${name}/`),
    );
    assert.ok(victim);
    process.kill(victim, "SIGKILL");
    await launcher.printed(`${name} is back`, { deadlineMs: 30_000 });
    assert.match(launcher.output(), new RegExp(`${name} ended \\(SIGKILL\\); starting it again`));
  }
  await waitFor(async () => (await statusFor(url, "ada", ada)) === 200, {
    what: "the healed demo to answer",
    deadlineMs: 20_000,
  });

  const orphans = childrenOf(launcher.pid);
  assert.equal(orphans.length, 4);
  await launcher.stop({ signal: "SIGKILL" });
  await waitFor(() => orphans.every(isGone), {
    what: "the orphans to end",
    deadlineMs: 20_000,
  });
  await using next = await launch(folder, { readyWhen: READY });
  assert.equal(urlOf(next), url);
});

test("npm start stops cleanly when it is told to before it was ready", async () => {
  await using folder = await tempFolder();
  await using launcher = await launch(folder);
  const log = folder.file("data", "logs", "gateway.log");
  await waitFor(() => existsSync(log), { what: "the gateway to be started", deadlineMs: 20_000 });
  const exit = await launcher.stop({ signal: "SIGINT", deadlineMs: 25_000 });
  assert.deepEqual(exit, { code: 0, signal: null }, launcher.output());
  assert.equal(launcher.output().includes("Tidegate is ready"), false);
  assert.equal(existsSync(folder.file("data", "launcher.lock")), false);
});

test("npm start takes a Ctrl-C that arrives twice as one, and a later one as haste", async () => {
  await using folder = await tempFolder();
  await using launcher = await launch(folder, { readyWhen: READY });
  const [gateway] = childrenOf(launcher.pid);
  assert.ok(gateway);
  // A gateway that does not get around to stopping.
  process.kill(gateway, "SIGSTOP");
  launcher.signal("SIGINT");
  launcher.signal("SIGINT");
  await launcher.printed("tidegate: stopping\n");
  // The launcher's clock has to move on: there is no condition to wait for.
  await sleep(1_100);
  assert.equal(launcher.output().includes("stopping at once"), false);
  assert.equal(launcher.exit(), undefined);
  launcher.signal("SIGINT");
  assert.equal((await launcher.exited({ deadlineMs: 5_000 })).code, 0);
  assert.match(launcher.output(), /stopping at once/);
  assert.ok(isGone(gateway));
});

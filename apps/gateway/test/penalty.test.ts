// The penalty box as clients meet it: who goes on over a limit of their own is refused for a while, and nobody else.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { setUser, keysFileWriter } from "@tidegate/auth";
import { systemRandom } from "@tidegate/clock";
import { penaltiesCommand } from "../src/cli/penalties-command.ts";
import { startRedis, startUpstream, tempFolder, waitFor } from "@tidegate/testkit";
import {
  fastClock,
  get,
  readProblem,
  requestBytes,
  startGateway,
  type GatewayUnderTest,
} from "./http-harness.ts";

type Routes = NonNullable<Parameters<typeof startGateway>[0]["routes"]>;

const window = (per: "user" | "address" | "route" | "connection", limit = 1) =>
  ({ kind: "window", limit, seconds: 600, per }) as const;

let folder: Awaited<ReturnType<typeof tempFolder>>;
before(async () => {
  folder = await tempFolder();
  for (const user of ["ada", "bob"])
    await setUser({
      path: folder.file("users.json"),
      fileName: "people",
      user,
      password: "a good long password",
      scopes: [],
      random: systemRandom,
    });
});
after(() => folder[Symbol.asyncDispose]());

async function open(
  options: Omit<Parameters<typeof startGateway>[0], "targets">,
): Promise<{ gateway: GatewayUnderTest } & AsyncDisposable> {
  await using parts = new AsyncDisposableStack();
  const upstream = parts.use(await startUpstream());
  const gateway = parts.use(
    await startGateway({
      targets: [upstream.url],
      penalty: {},
      identity: { people: { kind: "users-file", file: folder.file("users.json") } },
      ...options,
    }),
  );
  const owned = parts.move();
  return { gateway, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

const close = "Connection: close";
const as = (user: string): string =>
  `Authorization: Basic ${Buffer.from(`${user}:a good long password`).toString("base64")}`;

/** Statuses of so many requests, each over a connection of its own. */
async function flood(gateway: GatewayUnderTest, bytes: string, count: number): Promise<number[]> {
  const statuses: number[] = [];
  for (let left = count; left > 0; left -= 10) {
    const asked = Array.from({ length: Math.min(10, left) }, () => gateway.ask(bytes));
    statuses.push(...(await Promise.all(asked)).map(({ status }) => status));
  }
  return statuses;
}

async function typeOf(gateway: GatewayUnderTest, bytes: string): Promise<string> {
  const answer = await gateway.ask(bytes);
  if (answer.status === 200) return "admitted";
  return readProblem(answer).type.split("/").at(-1) as string;
}

const BOXED = "abnormal-usage-detected";

for (const threads of [0, 2]) {
  describe(`penalties over ${threads} workers`, () => {
    const two: Routes = [
      { path: "/limited/**", limits: [window("address")] },
      { path: "/free/**" },
      { path: "/people/**", auth: { by: ["people"] }, limits: [window("user")] },
      { path: "/more/**", auth: { by: ["people"] } },
    ];

    test("more than 30 refusals are a strike, counted over all workers, and refuse the address everywhere", async () => {
      await using parts = await open({ threads, routes: two });
      const { gateway } = parts;
      const limited = get("/limited/1", [close]);
      const statuses = await flood(gateway, limited, 31);
      assert.equal(statuses.filter((status) => status === 200).length, 1);
      assert.equal(await typeOf(gateway, get("/free/1", [close])), "admitted");
      await gateway.ask(limited);
      await gateway.loggedAtLeast("penalty.began", 1);

      const answers = await Promise.all(
        Array.from({ length: 20 }, () => gateway.ask(get("/free/1", [close]))),
      );
      for (const answer of answers) {
        assert.equal(answer.status, 429);
        const problem = readProblem(answer);
        assert.equal(problem.type.split("/").at(-1), BOXED);
        assert.equal(problem["strikes"], 1);
        assert.equal(problem["reauthenticationRequired"], false);
        const seconds = Number(answer.field("retry-after"));
        assert.ok(seconds >= 25 && seconds <= 40, `${seconds} s`);
      }
      // Who proves who they are is not the address.
      assert.equal(await typeOf(gateway, get("/more/1", [as("ada"), close])), "admitted");
      const [line] = await gateway.logged("penalty.began");
      assert.equal(line?.["caller"], '["address","127.0.0.1"]');
      assert.equal(line?.["strikes"], 1);
    });

    test("a person is boxed from any route, and the other person at the same address is not", async () => {
      await using parts = await open({ threads, routes: two });
      const { gateway } = parts;
      const statuses = await flood(gateway, get("/people/1", [as("ada"), close]), 40);
      assert.equal(statuses.filter((status) => status === 200).length, 1);
      await gateway.loggedAtLeast("penalty.began", 1);
      const answer = await gateway.ask(get("/more/1", [as("ada"), close]));
      assert.equal(answer.status, 429);
      // A password is shown anew with every call: there is no signing in again.
      assert.equal(readProblem(answer)["reauthenticationRequired"], false);
      assert.equal(await typeOf(gateway, get("/more/1", [as("bob"), close])), "admitted");
      assert.equal(await typeOf(gateway, get("/free/1", [close])), "admitted");
    });
  });
}

describe("penalties", () => {
  test("a key in a field of its own is a credential: refused before it is looked at, it counts for no address", async () => {
    const keys = folder.file("keys.json");
    const nowMs = Date.now();
    const key = await keysFileWriter({
      path: keys,
      fileName: "partners",
      random: systemRandom,
      nowMs,
    }).add({ name: "billing", scopes: [], expiresAtMs: undefined });
    const identity = {
      programs: { kind: "api-keys", file: keys, header: "x-api-key" },
    } as const;
    const limits = [window("address", 10)];
    const routes: Routes = [{ path: "/**", auth: { by: ["programs"] }, limits }];
    await using parts = await open({ identity, routes });
    await flood(parts.gateway, get("/", [`X-Api-Key: ${key}`, close]), 70);
    assert.equal((await parts.gateway.logged("penalty.began")).length, 0);
    // A field that no route knows is none.
    await flood(parts.gateway, get("/", ["X-Other-Key: nonsense", close]), 70);
    await parts.gateway.loggedAtLeast("penalty.began", 1);
  });

  test("nobody is boxed by being named: refused credentials of a name count for nobody", async () => {
    await using parts = await open({
      routes: [{ path: "/**", auth: { by: ["people"] }, limits: [window("address", 10)] }],
    });
    const { gateway } = parts;
    const forged = `Authorization: Basic ${Buffer.from("ada:wrong").toString("base64")}`;
    await flood(gateway, get("/", [forged, close]), 9);
    assert.equal(await typeOf(gateway, get("/", [as("ada"), close])), "admitted");
    await flood(gateway, get("/", [forged, close]), 60);
    assert.equal((await gateway.logged("penalty.began")).length, 0);
  });

  test("budgets that others use up too, and shapes that are refused, never strike", async () => {
    await using parts = await open({
      routes: [
        { path: "/shared/**", limits: [window("route")] },
        { path: "/connection/**", limits: [window("connection")] },
        { path: "/free/**", maxBodyBytes: 1 },
      ],
    });
    const { gateway } = parts;
    await flood(gateway, get("/shared/1", [close]), 60);
    await using client = await gateway.connect();
    await client.write(get("/connection/1").repeat(60));
    await flood(gateway, get("/unknown", [close]), 60);
    await flood(gateway, get("/free/%2e%2e%2f", [close]), 60);
    assert.equal(await typeOf(gateway, get("/free/1", [close])), "admitted");
    assert.equal((await gateway.logged("penalty.began")).length, 0);
  });

  test("bytes over a limit strike as what they are: many small refusals, or more than 30 large ones", async () => {
    const bytes = {
      kind: "window",
      limit: 1_000,
      seconds: 600,
      per: "address",
      cost: "byte",
    } as const;
    for (const chunked of [false, true]) {
      await using parts = await open({ routes: [{ path: "/**", limits: [bytes] }] });
      const { gateway } = parts;
      const post = (size: number): string =>
        chunked
          ? requestBytes(
              "POST / HTTP/1.1",
              ["Transfer-Encoding: chunked", close],
              `${size.toString(16)}\r\n${"x".repeat(size)}\r\n0\r\n\r\n`,
            )
          : requestBytes("POST / HTTP/1.1", [`Content-Length: ${size}`, close], "x".repeat(size));
      assert.deepEqual(await flood(gateway, post(950), 1), [200]);
      await flood(gateway, post(900), 30);
      assert.deepEqual(await gateway.logged("penalty.began"), []);
      await flood(gateway, post(900), 1);
      await gateway.loggedAtLeast("penalty.began", 1);
      assert.equal(await typeOf(gateway, post(1)), BOXED);
    }
  });

  test("a limit with `strikes: false` never boxes", async () => {
    await using parts = await open({
      routes: [{ path: "/**", limits: [{ ...window("address"), strikes: false }] }],
    });
    await flood(parts.gateway, get("/", [close]), 80);
    assert.equal((await parts.gateway.logged("penalty.began")).length, 0);
  });

  test("off unless configured", async () => {
    await using parts = await open({
      penalty: undefined,
      routes: [{ path: "/limited/**", limits: [window("address")] }, { path: "/free/**" }],
    });
    await flood(parts.gateway, get("/limited/1", [close]), 80);
    assert.equal(await typeOf(parts.gateway, get("/free/1", [close])), "admitted");
  });

  test("the box opens by itself; what was refused before does not count a second time", async () => {
    const clock = fastClock(60);
    await using parts = await open({
      clock,
      routes: [{ path: "/limited/**", limits: [window("address")] }, { path: "/free/**" }],
    });
    const { gateway } = parts;
    await flood(gateway, get("/limited/1", [close]), 40);
    await gateway.loggedAtLeast("penalty.began", 1);
    const free = (): Promise<string> => typeOf(gateway, get("/free/1", [close]));
    await waitFor(async () => (await free()) === "admitted", { what: "the end of the penalty" });
    await flood(gateway, get("/limited/1", [close]), 5);
    assert.equal(await free(), "admitted");
    assert.equal((await gateway.logged("penalty.began")).length, 1);
  });

  test("an operator sees who is boxed and why, and lets them out of every worker by one command", async () => {
    await using parts = await open({
      threads: 2,
      routes: [{ path: "/limited/**", limits: [window("address")] }, { path: "/free/**" }],
    });
    const { gateway } = parts;
    const printed: string[] = [];
    const complained: string[] = [];
    const call = async (words: { action?: string; caller?: string }): Promise<number> => {
      printed.length = 0;
      return penaltiesCommand(
        {
          workingFolder: gateway.dataFolder,
          environment: {},
          print: (line) => void printed.push(line),
          complain: (line) => void complained.push(line),
          readSecret: () => Promise.reject(new Error("nothing is asked")),
        },
        {
          action: words.action,
          caller: words.caller,
          file: undefined,
          admin: gateway.adminUrl,
          tokenFile: "admin-token",
          isJson: false,
        },
      );
    };
    assert.equal(await call({}), 0);
    assert.deepEqual(printed, ["Nobody has been boxed lately."]);
    await flood(gateway, get("/limited/1", [close]), 40);
    await gateway.loggedAtLeast("penalty.began", 1);
    assert.equal(await call({ action: "list" }), 0);
    const caller = '["address","127.0.0.1"]';
    assert.match(printed[1] ?? "", /^\["address","127\.0\.0\.1"\] +1 +address-1-in-600s +20/);

    assert.equal(await call({ action: "lift" }), 2);
    assert.equal(await call({ action: "lift", caller: '["address","127.0.0.2"]' }), 1);
    assert.equal(await call({ action: "lift", caller }), 0);
    const statuses = await flood(gateway, get("/free/1", [close]), 20);
    assert.deepEqual(new Set(statuses), new Set([200]));
    assert.equal(await call({ action: "lift", caller }), 1);
  });

  test("lifting takes the admin token, and a command rather than a link", async () => {
    await using parts = await open({ routes: [{ path: "/**" }] });
    const { gateway } = parts;
    const ask = (method: string, target: string, token: string) =>
      fetch(new URL(target, gateway.adminUrl), {
        method,
        headers: { authorization: `Bearer ${token}` },
      });
    const token = (await readFile(join(gateway.dataFolder, "admin-token"), "utf8")).trim();
    assert.equal((await ask("POST", "/penalties/lift?caller=x", "wrong")).status, 401);
    assert.equal((await ask("GET", "/penalties", "wrong")).status, 401);
    assert.equal((await ask("GET", "/penalties/lift?caller=x", token)).status, 405);
    assert.equal((await ask("POST", "/penalties/lift", token)).status, 400);
    assert.equal((await ask("POST", "/penalties/lift?caller=x&caller=y", token)).status, 400);
    const answer = await ask("POST", "/penalties/lift?caller=x", token);
    assert.deepEqual(await answer.json(), { lifted: false });
    assert.deepEqual(await (await ask("GET", "/penalties", token)).json(), { penalties: [] });
  });

  test("a penalty outlives the gateway", async () => {
    await using upstream = await startUpstream();
    await using data = await tempFolder();
    const options = {
      targets: [upstream.url],
      penalty: {},
      dataFolder: data.file("data"),
      routes: [{ path: "/limited/**", limits: [window("address")] }, { path: "/free/**" }],
    };
    {
      await using gateway = await startGateway(options);
      await flood(gateway, get("/limited/1", [close]), 40);
      await gateway.loggedAtLeast("penalty.began", 1);
    }
    await using gateway = await startGateway(options);
    assert.equal(await typeOf(gateway, get("/free/1", [close])), BOXED);
  });

  test("gateways that share a Redis share penalties and lifts within a second", async () => {
    await using redis = await startRedis();
    const options = {
      threads: 2,
      penalty: { redis: { url: redis.url } },
      routes: [{ path: "/limited/**", limits: [window("address")] }, { path: "/free/**" }],
    };
    await using one = await open(options);
    await using other = await open(options);
    const isFree = async ({ gateway }: typeof one): Promise<boolean> => {
      const statuses = await flood(gateway, get("/free/1", [close]), 10);
      return statuses.every((status) => status === 200);
    };
    assert.equal(await isFree(other), true);
    await flood(one.gateway, get("/limited/1", [close]), 40);
    await one.gateway.loggedAtLeast("penalty.began", 1);
    await waitFor(async () => !(await isFree(other)), { what: "the penalty", deadlineMs: 1_000 });
    assert.equal((await other.gateway.logged("penalty.began")).length, 0);

    const token = await readFile(join(other.gateway.dataFolder, "admin-token"), "utf8");
    const target = `/penalties/lift?caller=${encodeURIComponent('["address","127.0.0.1"]')}`;
    const lifted = await fetch(new URL(target, other.gateway.adminUrl), {
      method: "POST",
      headers: { authorization: `Bearer ${token.trim()}` },
    });
    assert.deepEqual(await lifted.json(), { lifted: true });
    await waitFor(() => isFree(one), { what: "the lift", deadlineMs: 1_000 });

    const ready = async (): Promise<number> =>
      (await fetch(new URL("/readyz", one.gateway.adminUrl))).status;
    assert.equal(await ready(), 200);
    await redis.process.stop({ signal: "SIGKILL" });
    await waitFor(async () => (await ready()) === 503, { what: "the loss to be shown" });
    // Without Redis each gateway still boxes for itself.
    await flood(one.gateway, get("/limited/1", [close]), 60);
    await waitFor(async () => !(await isFree(one)), { what: "the penalty of one node" });
    assert.ok((await one.gateway.logged("penalty.failed")).length > 0);
  });
});

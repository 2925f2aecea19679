import assert from "node:assert/strict";
import { test } from "node:test";
import { ConfigError, formatPath } from "./config-error.ts";
import { validateConfig } from "./load-config.ts";

type Json = Readonly<Record<string, unknown>>;

const limitStore = { kind: "redis", url: "redis://127.0.0.1:6379" };
const limit = (more: Json): Json => ({
  kind: "window",
  limit: 5,
  seconds: 60,
  per: "address",
  store: "shared",
  ...more,
});

/** `path: reason` of every mistake, `path? reason` of every warning. */
function findings(config: Json, ...limits: Json[]): string[] {
  const upstreams = { shop: { targets: ["http://127.0.0.1:4100"] } };
  const routes = [{ path: "/", to: "shop", auth: "none", limits }];
  try {
    const { warnings } = validateConfig({ upstreams, routes, ...config }, { folder: "/" });
    return warnings.map(({ path, reason }) => `${formatPath(path)}? ${reason}`);
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error));
    return error.mistakes.map(({ path, reason }) => `${formatPath(path)}: ${reason}`);
  }
}

test("a shared limit needs a store, and a store a shared limit", () => {
  assert.deepEqual(findings({ limitStore }, limit({})), []);
  const slots = limit({ kind: "concurrency", seconds: undefined, whenStoreLost: "open" });
  assert.deepEqual(findings({ limitStore }, JSON.parse(JSON.stringify(slots))), []);
  assert.match(findings({}, limit({}))[0] ?? "", /^routes\[0\]\.limits\[0\]\.store: .*limitStore/);
  assert.match(
    findings({ limitStore }, limit({ store: "local" }))[0] ?? "",
    /^limitStore\? is not used/,
  );
});

test("what only one gateway can count is not shared", () => {
  const cases: readonly [Json, RegExp][] = [
    [{ per: "connection" }, /\.per: .*connection/],
    [{ cost: "byte", limit: 50_000_000 }, /\.cost: .*byte/],
    [{ shadow: true }, /\.shadow: /],
    [
      { kind: "quota", seconds: undefined, period: "day", whenStoreLost: "share" },
      /\.whenStoreLost: .*quota/,
    ],
    [
      { kind: "concurrency", seconds: undefined, whenStoreLost: "local" },
      /\.whenStoreLost: .*concurrency/,
    ],
    [{ kind: "concurrency", seconds: undefined, limit: 1_001 }, /\.limit: .*1000/],
  ];
  for (const [more, reason] of cases) {
    const found = findings({ limitStore }, JSON.parse(JSON.stringify(limit(more))));
    assert.equal(found.length, 1, found.join("\n"));
    assert.match(found[0] ?? "", reason);
  }
});

test("messages of sockets share limits too, by bytes as well; what is one connection's own is not shared", () => {
  const route = (socketLimit: Json): Json => ({
    limitStore,
    routes: [
      {
        path: "/",
        to: "shop",
        auth: "none",
        limits: [{ kind: "window", limit: 5, seconds: 60, per: "address" }],
        websocket: { limits: [limit(socketLimit)] },
      },
    ],
  });
  assert.deepEqual(findings(route({})), []);
  assert.deepEqual(findings(route({ cost: "byte", limit: 2_000_000 })), []);
  const [own = ""] = findings(route({ per: "connection" }));
  assert.match(own, /^routes\[0\]\.websocket\.limits\[0\]\.per: .*connection/);
  assert.match(findings(route({ per: undefined }))[0] ?? "", /\.per: /);
  assert.match(findings(route({ shadow: true }))[0] ?? "", /\.shadow: .*store/);
});

test("the store is a Redis URL", () => {
  const store = { ...limitStore, url: "http://127.0.0.1" };
  assert.match(findings({ limitStore: store }, limit({}))[0] ?? "", /^limitStore\.url: /);
});

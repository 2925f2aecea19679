import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { createLimiter, type LimitDefinition } from "@tidegate/limits";
import { systemClock, systemRandom } from "@tidegate/clock";
import { validateConfig } from "../config/load-config.ts";
import { compileRoutes } from "./compile-routes.ts";
import { createRouteTable, routeForMethod, type RouteTable } from "./route-table.ts";
import type { Route } from "./route.ts";

interface Wanted {
  readonly path: string;
  readonly methods?: readonly string[];
  readonly hosts?: readonly string[];
  readonly websocket?: object;
}

function compile(routes: readonly Wanted[]): readonly Route[] {
  const { config } = validateConfig(
    {
      upstreams: { service: { targets: ["http://127.0.0.1:1"] } },
      routes: routes.map((route) => ({ ...route, to: "service", auth: "none" })),
    },
    { folder: "/" },
  );
  const metrics = {
    limitCounters: (_: string, names: readonly string[]) => new Float64Array(names.length),
  };
  const limiter = (definitions: readonly LimitDefinition[]) =>
    createLimiter({ definitions, random: systemRandom });
  return compileRoutes(config, { clock: systemClock, createLimiter: limiter, metrics }).routes;
}

const tableOf = (...routes: Wanted[]): RouteTable => createRouteTable(compile(routes));

const idAt = (table: RouteTable, path: string, { host = "localhost", method = "GET" } = {}) => {
  const place = table.find(host, path);
  return place === undefined ? undefined : routeForMethod(place, method)?.id;
};

describe("RouteTable", () => {
  test("find() prefers a literal to * to **, segment by segment, whatever the order", () => {
    const paths = ["/**", "/a/**", "/a/*", "/a/b", "/*/b", "/a/*/c", "/a/b/**"];
    for (const order of [paths, paths.toReversed()]) {
      const table = tableOf(...order.map((path) => ({ path })));
      const found = (path: string): string | undefined => idAt(table, path)?.slice(2);
      assert.equal(found("/a/b"), "/a/b");
      assert.equal(found("/a/x"), "/a/*");
      assert.equal(found("/x/b"), "/*/b");
      assert.equal(found("/a/x/c"), "/a/*/c");
      assert.equal(found("/a/b/c"), "/a/b/**");
      assert.equal(found("/a/x/y"), "/a/**");
      assert.equal(found("/a"), "/a/**");
      assert.equal(found("/a/"), "/a/**");
      assert.equal(found("/"), "/**");
      assert.equal(found("/A/b"), "/*/b");
    }
  });

  test("find() never steps around a stricter place by a method that it does not name", () => {
    const table = tableOf({ path: "/**" }, { path: "/admin", methods: ["GET"] });
    const place = table.find("localhost", "/admin");
    assert.ok(place !== undefined);
    assert.equal(routeForMethod(place, "POST"), undefined);
    assert.equal(place.allow, "GET, HEAD");
  });

  test("routeForMethod() serves HEAD with GET, and a HEAD of its own where there is one", () => {
    const table = tableOf(
      { path: "/a", methods: ["GET", "POST"] },
      { path: "/b", methods: ["GET"] },
      { path: "/b", methods: ["HEAD"] },
    );
    assert.equal(idAt(table, "/a", { method: "HEAD" }), "GET,POST /a");
    assert.equal(idAt(table, "/b", { method: "HEAD" }), "HEAD /b");
    assert.equal(table.find("localhost", "/a")?.allow, "GET, HEAD, POST");
  });

  test("a place that takes handshakes only allows no method, and both live side by side", () => {
    const table = tableOf(
      { path: "/live", websocket: {} },
      { path: "/both", websocket: {}, methods: ["GET"] },
    );
    const live = table.find("localhost", "/live");
    assert.deepEqual([live?.allow, live?.socket?.id], ["", "WS /live"]);
    const both = table.find("localhost", "/both");
    assert.deepEqual([both?.allow, both?.socket?.id], ["GET, HEAD", "GET,WS /both"]);
  });

  test("find() takes a host's own routes first, and falls back to those of every host", () => {
    const table = tableOf({ path: "/**" }, { path: "/a", hosts: ["one.example"] });
    assert.equal(idAt(table, "/a", { host: "one.example" }), "* one.example/a");
    assert.equal(idAt(table, "/b", { host: "one.example" }), "* /**");
    assert.equal(idAt(table, "/a", { host: "two.example" }), "* /**");
  });

  const segment = fc.constantFrom("a", "b", "*");
  const pattern = fc
    .tuple(fc.array(segment, { maxLength: 4 }), fc.constantFrom("", "/**", "/"))
    .map(([segments, tail]) => {
      const path = segments.map((one) => `/${one}`).join("") + tail;
      return path === "" ? "/" : path;
    });
  const somePath = fc
    .tuple(fc.array(fc.constantFrom("a", "b", "c", ""), { maxLength: 5 }), fc.constantFrom("", "/"))
    .map(([segments, tail]) => `/${segments.join("/")}${tail}`);

  test("find() agrees with an oracle that tries every pattern and compares them", () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(pattern, { minLength: 1, maxLength: 12 }),
        fc.array(somePath, { minLength: 1, maxLength: 10 }),
        (patterns, paths) => {
          const table = tableOf(...patterns.map((path) => ({ path })));
          for (const path of paths)
            assert.equal(
              idAt(table, path)?.slice(2),
              oracle(patterns, path),
              `${path} in ${patterns.join(" ")}`,
            );
        },
      ),
      { numRuns: 300 },
    );
  });
});

/** Every pattern that matches, by regular expression; the best by comparing segments from the left. */
function oracle(patterns: readonly string[], path: string): string | undefined {
  const matching = patterns.filter((pattern) => {
    const isRest = pattern.endsWith("/**");
    const stem = (isRest ? pattern.slice(0, -3) : pattern).replaceAll("*", "[^/]+");
    return new RegExp(`^${stem}${isRest ? "(/.*)?" : ""}$`, "s").test(path);
  });
  const rank = (segment: string | undefined): number =>
    segment === undefined ? 3 : segment === "**" ? 1 : segment === "*" ? 2 : 4;
  return matching.toSorted((one, other) => {
    const mine = one.split("/").slice(1);
    const theirs = other.split("/").slice(1);
    for (let at = 0; at < Math.max(mine.length, theirs.length); at++) {
      const difference = rank(theirs[at]) - rank(mine[at]);
      if (difference !== 0) return difference;
    }
    return 0;
  })[0];
}

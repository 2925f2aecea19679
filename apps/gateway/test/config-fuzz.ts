import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { stringify } from "yaml";
import { ConfigError } from "../src/config/config-error.ts";
import { validate, type LoadedConfig } from "../src/config/load-config.ts";
import { parseText } from "../src/config/text-source.ts";

// A configuration that somebody broke, in its data or in its bytes, ends as a frozen configuration or as one ConfigError
// whose every mistake has a path and a reason. The tests that run it say for how long.

const good = {
  listen: { port: 8080, publicUrl: "http://localhost:8080", trustedProxies: ["10.0.0.0/8"] },
  identity: {
    staff: { kind: "users-file", file: "users.json" },
    people: { kind: "oidc", issuer: "https://login.example/", audience: "api" },
  },
  upstreams: { tasks: { targets: ["http://127.0.0.1:4101"] } },
  limits: [{ kind: "window", limit: 1_000, seconds: 60, per: "address" }],
  routes: [
    {
      path: "/tasks/**",
      methods: ["GET", "POST"],
      to: "tasks",
      auth: { by: ["staff", "people"], scopes: ["tasks"] },
      limits: [{ kind: "bucket", rate: { count: 600, seconds: 60 }, burst: 200 }],
    },
    {
      path: "/tasks/live",
      to: "tasks",
      auth: { by: ["staff"] },
      websocket: { limits: [{ class: "text", kind: "window", limit: 9, seconds: 1 }] },
    },
  ],
};

const strange = fc.oneof(
  fc.jsonValue({ maxDepth: 3 }),
  fc.constantFrom(
    "${X}",
    "${HOME:-/}",
    "${",
    "__proto__",
    "constructor",
    "toString",
    -0,
    1e308,
    "",
  ),
  fc.constantFrom("http://[::1", "//", "/**/x", "*", "\u0000", "é".repeat(300), "none", "oidc"),
  fc.integer(),
  fc.double(),
);

/** Every place of the good configuration, as the keys that lead there. */
const places = (function walk(value: unknown, path: string[]): string[][] {
  if (typeof value !== "object" || value === null) return [path];
  const inner = Object.entries(value).flatMap(([key, part]) => walk(part, [...path, key]));
  return path.length === 0 ? inner : [path, ...inner];
})(good, []);

const change = fc.record({
  place: fc.constantFrom(...places),
  how: fc.constantFrom("replace", "remove", "add", "rename", "double"),
  key: fc.oneof(fc.string(), fc.constantFrom("__proto__", "kind", "path", "websocket", "0")),
  value: strange,
});

type Change = typeof change extends fc.Arbitrary<infer One> ? One : never;

function apply(config: unknown, { place, how, key, value }: Change): void {
  let holder = config;
  for (const step of place.slice(0, -1)) holder = (holder as Record<string, unknown>)?.[step];
  if (typeof holder !== "object" || holder === null) return;
  const at = place.at(-1) ?? "";
  const target = holder as Record<string, unknown>;
  if (how === "replace") target[at] = value;
  else if (how === "remove") delete target[at];
  else if (how === "add") define(target, key, value);
  else if (how === "rename") {
    define(target, key, target[at]);
    delete target[at];
  } else if (Array.isArray(target)) target.push(structuredClone(target[Number(at)]));
}

const define = (target: object, key: string, value: unknown): void => {
  if (Array.isArray(target)) target.push(value);
  else
    Object.defineProperty(target, key, {
      value,
      enumerable: true,
      configurable: true,
      writable: true,
    });
};

function load(text: string, language: "json" | "yaml"): LoadedConfig | undefined {
  try {
    const source = parseText(text, { file: "fuzz", language, environment: { X: "1" } });
    return validate(source, { file: "fuzz", folder: "/folder" });
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error));
    assert.ok(error.mistakes.length > 0);
    for (const mistake of error.mistakes) {
      assert.ok(Array.isArray(mistake.path));
      assert.ok(mistake.reason.length > 0 && !mistake.reason.includes("undefined"), mistake.reason);
      assert.notEqual(mistake.position, undefined, error.message);
    }
    assert.ok(error.message.length < 200_000);
    return undefined;
  }
}

function assertFrozen(value: unknown): void {
  if (typeof value !== "object" || value === null) return;
  assert.ok(Object.isFrozen(value));
  for (const inner of Object.values(value)) assertFrozen(inner);
}

/** @param numRuns how many configurations each test breaks */
export function configFuzz(numRuns: number): void {
  test("the configuration that is mutated is good, in both languages", () => {
    assert.deepEqual(load(JSON.stringify(good), "json"), load(stringify(good), "yaml"));
    assert.deepEqual(load(JSON.stringify(good), "json")?.warnings, []);
  });

  test("changed data ends as a frozen configuration or one message", () => {
    let accepted = 0;
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 6 }), (changes) => {
        const config = structuredClone(good);
        for (const one of changes) apply(config, one);
        const loaded = load(JSON.stringify(config), "json");
        if (loaded !== undefined) accepted += 1;
        assertFrozen(loaded?.config);
      }),
      { numRuns },
    );
    assert.ok(accepted > 0, "some changes leave the configuration good");
  });

  test("changed bytes end as a frozen configuration or one message", () => {
    const bytes = fc.record({
      at: fc.nat(),
      remove: fc.nat(12),
      insert: fc.oneof(
        fc.string({ unit: "binary", maxLength: 6 }),
        fc.constantFrom(
          "&a ",
          "*a",
          "- ",
          ": ",
          "[",
          "{",
          "}",
          "]",
          "\t",
          "|\n",
          "? ",
          "!!set ",
          "---\n",
        ),
        fc.constantFrom("<<: *a", "${", "${X}", "'", '"', "#", "%YAML 1.1\n", "\u{feff}", "\r"),
      ),
    });
    const text = fc.constantFrom(
      ["yaml", stringify(good)] as const,
      ["json", JSON.stringify(good, null, 2)] as const,
    );
    fc.assert(
      fc.property(
        text,
        fc.array(bytes, { minLength: 1, maxLength: 8 }),
        ([language, start], changes) => {
          const broken = changes.reduce((before, { at, remove, insert }) => {
            const from = at % (before.length + 1);
            return before.slice(0, from) + insert + before.slice(from + remove);
          }, start);
          assertFrozen(load(broken, language)?.config);
        },
      ),
      { numRuns },
    );
  });
}

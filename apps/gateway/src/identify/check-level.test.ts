import assert from "node:assert/strict";
import { test } from "node:test";
import { ANONYMOUS, BASIC_ACR, type Principal } from "@tidegate/auth";
import * as fc from "fast-check";
import { REASON } from "../judge/reason.ts";
import { createRefusal } from "../judge/refusal.ts";
import { checkLevel } from "./check-level.ts";

const NOW_MS = 1_800_000_000_000;
const NOW = NOW_MS / 1_000;

function check(auth: object | "none", changes: Partial<Principal>) {
  const refusal = createRefusal();
  const rules = auth === "none" ? auth : { by: ["people"], scopes: [], acr: [], ...auth };
  const passes = checkLevel(
    {
      route: { config: { auth: rules } as never },
      principal: { ...ANONYMOUS, kind: "person", subject: "ada", ...changes },
      nowMs: NOW_MS,
    },
    refusal,
  );
  assert.equal(passes, refusal.reason === REASON.none);
  return refusal;
}

const reason = (auth: object | "none", changes: Partial<Principal>) => check(auth, changes).reason;

test("checkLevel() refuses what does not reach the level, and takes the unknown for the weakest", () => {
  const acr = { acr: ["phr", "phrh"] };
  assert.equal(reason(acr, { acr: "phr" }), REASON.none);
  assert.equal(reason(acr, { acr: "phrh" }), REASON.none);
  for (const weak of ["", "pwd", "PHR", "phr phrh", "0"]) {
    assert.equal(reason(acr, { acr: weak }), REASON.level_lacking, weak);
  }
  // A list with a hole in it must not let in those who say nothing.
  assert.equal(reason({ acr: [""] }, { acr: "" }), REASON.level_lacking);
});

test("checkLevel() measures freshness from the sign-in, and an unknown one is never fresh", () => {
  const fresh = { maxAgeSeconds: 300 };
  assert.equal(reason(fresh, { authTimeSeconds: NOW - 300 }), REASON.none);
  assert.equal(reason(fresh, { authTimeSeconds: NOW - 301 }), REASON.level_lacking);
  assert.equal(reason(fresh, { authTimeSeconds: 0 }), REASON.level_lacking);
  assert.equal(reason({ maxAgeSeconds: 0 }, { authTimeSeconds: NOW }), REASON.none);
  assert.equal(reason({ maxAgeSeconds: 31_622_400 }, { authTimeSeconds: 0 }), REASON.level_lacking);
});

test("checkLevel() never takes Basic for a level, even where somebody lists it", () => {
  const basic = { acr: BASIC_ACR, authTimeSeconds: 0 };
  assert.equal(reason({ acr: [BASIC_ACR] }, basic), REASON.level_lacking);
  assert.equal(reason({ acr: [BASIC_ACR], maxAgeSeconds: 300 }, basic), REASON.level_lacking);
  assert.equal(reason({}, basic), REASON.none);
});

test("checkLevel() asks for every scope, and tells all of them", () => {
  const scopes = ["tasks:read", "tasks:write"];
  assert.equal(reason({ scopes }, { scopes: new Set([...scopes, "more"]) }), REASON.none);
  const refusal = check({ scopes }, { scopes: new Set(["tasks:read"]) });
  assert.equal(refusal.reason, REASON.scope_lacking);
  assert.deepEqual(refusal.detail, { scopes });
  assert.equal(
    reason({ scopes }, { scopes: new Set(["tasks:read tasks:write"]) }),
    REASON.scope_lacking,
  );
});

test("checkLevel() lets the lacking level win over the lacking scope, and tells both", () => {
  const rules = { scopes: ["pay"], acr: ["phr"], maxAgeSeconds: 300 };
  assert.deepEqual(check(rules, { scopes: new Set() }).detail, {
    acr: ["phr"],
    maxAgeSeconds: 300,
    scopes: ["pay"],
  });
  assert.equal(check(rules, { scopes: new Set() }).reason, REASON.level_lacking);
  assert.deepEqual(check(rules, { scopes: new Set(["pay"]) }).detail, {
    acr: ["phr"],
    maxAgeSeconds: 300,
    scopes: [],
  });
});

test("checkLevel() asks nobody where everybody is let in", () => {
  assert.equal(reason("none", ANONYMOUS), REASON.none);
});

test("checkLevel() admits exactly those who have all that is asked", () => {
  const names = fc.subarray(["a", "b", "c"]);
  const age = fc.option(fc.integer({ min: 0, max: 1_000 }), { nil: undefined });
  fc.assert(
    fc.property(
      names,
      names,
      fc.constantFrom("", "phr", "pwd"),
      fc.subarray(["phr", "pwd"]),
      fc.integer({ min: 0, max: 1_000 }),
      age,
      (asked, held, acr, levels, ago, maxAgeSeconds) => {
        const authTimeSeconds = ago === 0 ? 0 : NOW - ago;
        const admits =
          asked.every((scope) => held.includes(scope)) &&
          (levels.length === 0 || levels.some((level) => level === acr)) &&
          (maxAgeSeconds === undefined || (ago > 0 && ago <= maxAgeSeconds));
        const rules = { scopes: asked, acr: levels, maxAgeSeconds };
        const caller = { scopes: new Set<string>(held), acr, authTimeSeconds };
        assert.equal(reason(rules, caller) === REASON.none, admits);
      },
    ),
  );
});

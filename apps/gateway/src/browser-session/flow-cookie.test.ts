import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { manualClock, systemRandom } from "@tidegate/clock";
import { tempFolder } from "@tidegate/testkit";
import { readCookie, writeCookie } from "./cookies.ts";
import {
  beginFlow,
  findFlow,
  flowSecrets,
  readFlows,
  writeFlows,
  type Flow,
} from "./flow-cookie.ts";
import { loadSealingKeys } from "./sealing-keys.ts";

async function setUp() {
  await using parts = new AsyncDisposableStack();
  const folder = parts.use(await tempFolder());
  const clock = manualClock(0);
  const keys = loadSealingKeys({ folder: folder.path, clock, random: systemRandom });
  const begin = (returnTo = "/"): Flow =>
    beginFlow({ provider: "people", returnTo, acr: [] }, { clock, random: systemRandom });
  const owned = parts.move();
  return { clock, keys, begin, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

describe("flow cookie", () => {
  test("a changed, foreign or old one holds no flow", async () => {
    await using t = await setUp();
    await using other = await setUp();
    const value = writeFlows([t.begin()], t.keys);
    assert.equal(readFlows(value, t).length, 1);
    for (const bad of [undefined, "", "x", value.slice(1), `${value}A`, "A".repeat(5_000)])
      assert.deepEqual(readFlows(bad, t), []);
    for (let at = 0; at < value.length - 1; at += 7) {
      const changed = `${value.slice(0, at)}${value[at] === "A" ? "B" : "A"}${value.slice(at + 1)}`;
      assert.deepEqual(readFlows(changed, t), []);
    }
    assert.deepEqual(readFlows(writeFlows([other.begin()], other.keys), t), []);
    // A session's tokens are sealed by the same keys, for another place.
    assert.deepEqual(readFlows(t.keys.seal("[]", "session x").toString("base64url"), t), []);
    t.clock.advance(599_999);
    assert.equal(readFlows(value, t).length, 1);
    t.clock.advance(1);
    assert.deepEqual(readFlows(value, t), []);
  });

  test("keeps the newest five, and fits into a cookie whatever they return to", async () => {
    await using t = await setUp();
    const flows = Array.from({ length: 8 }, (_, index) => t.begin(`/${index}`));
    const kept = readFlows(writeFlows(flows, t.keys), t);
    assert.deepEqual(
      kept.map(({ returnTo }) => returnTo),
      ["/3", "/4", "/5", "/6", "/7"],
    );
    const long = Array.from({ length: 5 }, () => t.begin(`/${"x".repeat(500)}`));
    const value = writeFlows(long, t.keys);
    assert.ok(writeCookie("__Host-tidegate-flow", value, 600).length <= 4_096);
    assert.ok(readFlows(value, t).length >= 3);
    assert.equal(writeFlows([], t.keys), "");
  });

  test("findFlow() knows a flow by its state alone, and its secrets are three different ones", async () => {
    await using t = await setUp();
    const flows = [t.begin("/a"), t.begin("/b")];
    const { state, nonce, verifier, challenge } = flowSecrets(flows[1] as Flow);
    assert.equal(new Set([state, nonce, verifier, challenge]).size, 4);
    for (const secret of [state, nonce, verifier]) assert.match(secret, /^[\w-]{43}$/);
    assert.equal(findFlow(flows, state)?.returnTo, "/b");
    for (const wrong of [null, "", nonce, verifier, state.slice(1), `${state}A`])
      assert.equal(findFlow(flows, wrong), undefined);
  });
});

test("readCookie() takes only a lone cookie of exactly that name", () => {
  const name = "__Host-tidegate";
  assert.equal(readCookie(`a=b; ${name}=c`, name), "c");
  assert.equal(readCookie(`${name}-flow=x;${name}=c==`, name), "c==");
  assert.equal(readCookie(`${name}=`, name), "");
  for (const field of [
    undefined,
    "",
    name,
    `x${name}=c`,
    `${name.toLowerCase()}=c`,
    `=${name}=c`,
    `${name}=c; ${name}=d`,
    `${name}=c; ${name}=c`,
    `${name} =c`,
  ])
    assert.equal(readCookie(field, name), undefined, String(field));
});

test("writeCookie() writes what __Host- demands", () => {
  assert.equal(
    writeCookie("__Host-tidegate", "abc", 60.9),
    "__Host-tidegate=abc; Path=/; Max-Age=60; Secure; HttpOnly; SameSite=Lax",
  );
  assert.match(writeCookie("__Host-tidegate", "", 60), /^__Host-tidegate=; Path=\/; Max-Age=0;/);
});

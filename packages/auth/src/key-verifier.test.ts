import assert from "node:assert/strict";
import { readFile, stat, writeFile } from "node:fs/promises";
import { describe, test } from "node:test";
import { manualClock, systemRandom } from "@tidegate/clock";
import { tempFolder, waitFor } from "@tidegate/testkit";
import { outcome } from "../test/access-token-fixture.ts";
import { makeApiKey, parseApiKey } from "./api-key.ts";
import { createKeyVerifier } from "./key-verifier.ts";
import { readKeyUses, writeKeyUses } from "./key-uses.ts";
import { parseKeysFile } from "./keys-file.ts";
import { keysFileWriter } from "./keys-file-writer.ts";
import { openKeysFile } from "./keys-source.ts";

const NOW = 1_800_000_000_000;
const DAY = 86_400_000;

async function setUp() {
  const folder = await tempFolder();
  const path = folder.file("keys.json");
  const clock = manualClock(NOW);
  const writer = () =>
    keysFileWriter({ path, fileName: "partners", random: systemRandom, nowMs: clock.wallMs() });
  const billing = await writer().add({
    name: "billing",
    scopes: ["tasks:read"],
    expiresAtMs: undefined,
  });
  const reloads: (Error | undefined)[] = [];
  const keys = await openKeysFile({ path, clock, onReload: (problem) => reloads.push(problem) });
  const verifier = createKeyVerifier({ keys, clock });
  const reloaded = async (): Promise<void> => {
    const before = reloads.length;
    await waitFor(() => clock.pendingTimers === 1, { what: "the next look to be planned" });
    clock.advance(2_000);
    await waitFor(() => reloads.length > before, { what: "the changed file" });
  };
  return {
    folder,
    path,
    clock,
    writer,
    billing,
    reloads,
    keys,
    verifier,
    reloaded,
    check: (key: string) => outcome(verifier.verify(key)),
    async [Symbol.asyncDispose]() {
      keys[Symbol.dispose]();
      await folder[Symbol.asyncDispose]();
    },
  };
}

describe("API keys", () => {
  test("verify() refuses what is no key, keys of nobody, and another secret of a known id", async () => {
    await using t = await setUp();
    const { id } = parseApiKey(t.billing) ?? { id: "" };
    assert.equal(t.check("tgk_x"), "shape");
    assert.equal(t.check(`${t.billing.slice(0, -1)}!`), "shape");
    assert.equal(t.check(makeApiKey("a".repeat(14), systemRandom)), "key-unknown");
    assert.equal(t.check(makeApiKey(id, systemRandom)), "key-unknown");
    const text = await readFile(t.path, "utf8");
    const [hash = ""] = /[\w-]{43}/.exec(text) ?? [];
    assert.equal(t.check(hash), "shape");
    assert.ok(!text.includes(t.billing.slice(-38)));
    assert.equal((await stat(t.path)).mode & 0o777, 0o600);
  });

  test("verify() knows whom a key speaks for, and is the same every time", async () => {
    await using t = await setUp();
    const first = t.verifier.verify(t.billing);
    assert.ok(first.outcome === "accepted");
    const { id } = parseApiKey(t.billing) ?? { id: "" };
    assert.deepEqual(
      { ...first.principal, scopes: [...first.principal.scopes] },
      {
        kind: "key",
        issuer: "urn:tidegate:keys:partners",
        subject: id,
        client: "billing",
        scopes: ["tasks:read"],
        acr: "",
        authTimeSeconds: 0,
        issuedAtSeconds: 0,
        sessionId: "",
        tokenId: id,
        secretId: first.principal.secretId,
        keyThumbprint: "",
        expiresAtMs: Number.POSITIVE_INFINITY,
      },
    );
    const again = t.verifier.verify(t.billing);
    assert.ok(again.outcome === "accepted" && again.principal === first.principal);
    assert.ok(!(await readFile(t.path, "utf8")).includes(first.fingerprint));
  });

  test("a key ends when it expires, when it is disabled and when it is removed; others stay", async () => {
    await using t = await setUp();
    const short = await t.writer().add({ name: "short", scopes: [], expiresAtMs: NOW + DAY });
    await t.reloaded();
    assert.equal(t.check(short), "accepted");
    t.clock.advance(DAY);
    assert.equal(t.check(short), "expired");
    await t.writer().setDisabled("billing", true);
    await t.reloaded();
    assert.equal(t.check(t.billing), "inactive");
    await t.writer().setDisabled("billing", false);
    await t.reloaded();
    assert.equal(t.check(t.billing), "accepted");
    await t.writer().remove("billing");
    await t.reloaded();
    assert.equal(t.check(t.billing), "key-unknown");
  });

  test("rotation: both keys count while they overlap, under one id, and then the new one alone", async () => {
    await using t = await setUp();
    const second = await t.writer().rotate("billing", NOW + DAY);
    await t.reloaded();
    assert.deepEqual([t.check(t.billing), t.check(second)], ["accepted", "accepted"]);
    assert.equal(parseApiKey(second)?.id, parseApiKey(t.billing)?.id);
    t.clock.advance(DAY);
    assert.deepEqual([t.check(t.billing), t.check(second)], ["expired", "accepted"]);
    // At once, as after a leak.
    const third = await t.writer().rotate("billing", t.clock.wallMs());
    await t.reloaded();
    assert.deepEqual([t.check(second), t.check(third)], ["key-unknown", "accepted"]);
    // However often, the file keeps few.
    for (let count = 0; count < 6; count++)
      await t.writer().rotate("billing", t.clock.wallMs() + DAY);
    const { keys } = parseKeysFile(await readFile(t.path, "utf8"), "test");
    assert.equal([...keys.values()][0]?.secrets.length, 4);
  });

  test("renew() knows nobody whose secret, key or rights are gone, and gives others the end they have by now", async () => {
    await using t = await setUp();
    const shown = t.verifier.verify(t.billing);
    assert.ok(shown.outcome === "accepted");
    // What crossed threads is another object.
    const old = structuredClone(shown.principal);
    const wider = { ...old, scopes: new Set(["tasks:read", "tasks:write"]) };
    assert.equal(t.verifier.renew(wider), undefined);
    assert.equal(t.verifier.renew({ ...old, subject: "somebody" }), undefined);
    assert.equal(t.verifier.renew(old), shown.principal);
    const second = t.verifier.verify(await t.writer().rotate("billing", NOW + DAY));
    assert.ok(second.outcome === "invalid", "not loaded yet");
    await t.reloaded();
    assert.equal(t.verifier.renew(old)?.expiresAtMs, NOW + DAY);
    t.clock.advance(DAY);
    assert.equal(t.verifier.renew(old), undefined);
  });

  test("renew() knows nobody of a disabled key", async () => {
    await using t = await setUp();
    const shown = t.verifier.verify(t.billing);
    assert.ok(shown.outcome === "accepted");
    await t.writer().setDisabled("billing", true);
    await t.reloaded();
    assert.equal(t.verifier.renew(shown.principal), undefined);
  });

  test("a file that cannot be used is told, and leaves the keys of before", async () => {
    await using t = await setUp();
    await writeFile(t.path, "{");
    await t.reloaded();
    assert.match(String(t.reloads.at(-1)), /not JSON/);
    assert.equal(t.check(t.billing), "accepted");
    await writeFile(t.path, JSON.stringify({ name: "others", keys: {} }));
    await t.reloaded();
    assert.match(String(t.reloads.at(-1)), /its name changed/);
    assert.equal(t.check(t.billing), "accepted");
  });

  test("parseKeysFile() tells every problem at once, and quotes no hash", () => {
    const secrets = [{ hash: "a".repeat(43) }];
    const id = "abcdefghij0123";
    const file = {
      name: "Partners",
      keys: {
        one: { id, secrets },
        two: { id, secrets },
        "Bad Name": {
          id: "x",
          secrets: [],
          scopes: ["a b"],
          expires: "tomorrow",
          disabled: "no",
          more: 1,
        },
        three: { id: "abcdefghij0124", secrets: [{ hash: "canary" }] },
        four: 1,
      },
    };
    let message = "";
    try {
      parseKeysFile(JSON.stringify(file), "keys.json");
    } catch (error) {
      message = String(error);
    }
    for (const part of [
      "name:",
      'keys."two".id: is that of "one"',
      'keys."Bad Name": a name',
      '"Bad Name".id',
      '"Bad Name".scopes',
      '"Bad Name".expires',
      '"Bad Name".disabled',
      '"Bad Name".secrets',
      '"Bad Name".more',
      'keys."three".secrets[0]',
      'keys."four": must be an object',
    ]) {
      assert.ok(message.includes(part), `${part} in ${message}`);
    }
    assert.ok(!message.includes("canary"));
  });

  test("last uses are kept beside the keys, newest wins, gone keys are left out", async () => {
    await using t = await setUp();
    const { id } = parseApiKey(t.billing) ?? { id: "" };
    const known = t.keys.current.keys;
    assert.equal((await readKeyUses(t.path)).size, 0);
    await writeKeyUses(t.path, {
      uses: new Map([
        [id, NOW],
        ["gone", NOW],
      ]),
      known,
    });
    await writeKeyUses(t.path, { uses: new Map([[id, NOW + 1_000]]), known });
    assert.deepEqual([...(await readKeyUses(t.path))], [[id, NOW + 1_000]]);
  });
});

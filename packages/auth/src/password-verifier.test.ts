import assert from "node:assert/strict";
import { hash } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { describe, test } from "node:test";
import { waitFor } from "@tidegate/testkit";
import { hashPassword } from "./password-hash.ts";
import { basic, random, setUpPasswords } from "../test/password-fixture.ts";

describe("password verifier", () => {
  test("verify() hashes for unknown users as for known ones: once, at the same cost", async () => {
    await using t = await setUpPasswords();
    assert.equal((await t.verify("ada", "wrong")).outcome, "invalid");
    assert.equal((await t.verify("nobody", "wrong")).outcome, "invalid");
    assert.equal((await t.verify("__proto__", "wrong")).outcome, "invalid");
    assert.equal(t.calls.length, 3);
    assert.equal(new Set(t.calls.map(({ cost }) => cost)).size, 1);
    // And their answers are the same.
    assert.deepEqual(await t.verify("ada", "wrong2"), await t.verify("nobody", "wrong2"));
  });

  test("verify() makes an unknown user cost what the costliest user of the file costs", async () => {
    await using t = await setUpPasswords();
    const dear = await hashPassword("dear", {
      random,
      cost: { logN: 16, blockSize: 8, parallelism: 3 },
      deriveKey: t.deriveKey,
    });
    const cheap = t.document.users.ada;
    const users = { first: cheap, margaret: { password: dear }, last: cheap };
    const entries = Object.entries(users).map(([name, entry]) => [
      name,
      { ...entry, subject: name },
    ]);
    await writeFile(t.path, JSON.stringify({ name: "demo", users: Object.fromEntries(entries) }));
    t.clock.advance(2_000);
    await waitFor(() => t.reloads.length === 1, { what: "the reload" });
    t.calls.length = 0;
    await t.verify("nobody", "wrong");
    await t.verify("margaret", "wrong");
    assert.deepEqual(t.calls[0], t.calls[1]);
  });

  test("verify() does not accept a password that was changed while it was being checked", async () => {
    await using t = await setUpPasswords();
    t.state.holds = true;
    const waiting = t.verify("ada", "secret");
    await waitFor(() => t.held.length === 1, { what: "the hash" });
    t.state.holds = false;
    const users = { ada: await t.entryFor("changed") };
    await writeFile(t.path, JSON.stringify({ ...t.document, users }));
    t.clock.advance(2_000);
    await waitFor(() => t.reloads.length === 1, { what: "the reload" });
    t.held[0]?.();
    assert.equal((await waiting).outcome, "invalid");
  });

  test("verify() refuses a flood beyond two hashes and a queue of thirty-two as busy", async () => {
    await using t = await setUpPasswords();
    t.state.holds = true;
    const flood = Array.from({ length: 40 }, (_, i) => t.verify(`user${i}`, "guess"));
    await waitFor(() => t.held.length === 2, { what: "two hashes" });
    assert.deepEqual([t.pool.inFlight, t.pool.queued], [2, 32]);
    t.state.holds = false;
    for (const release of t.held) release();
    const outcomes = (await Promise.all(flood)).map(({ outcome }) => outcome);
    assert.equal(outcomes.filter((outcome) => outcome === "busy").length, 6);
    assert.equal(outcomes.filter((outcome) => outcome === "invalid").length, 34);
    // Those refused as busy were not charged: nobody of them waits now.
    const later = await t.verify("user39", "guess");
    assert.equal(later.outcome, "invalid");
  });

  test("verify() backs off a guesser before hashing, also one that guesses all at once", async () => {
    await using t = await setUpPasswords();
    const outcomes = await Promise.all(
      Array.from({ length: 20 }, (_, i) => t.verify("ada", `guess${i}`)),
    );
    assert.equal(t.calls.length, 3);
    assert.equal(outcomes.filter(({ outcome }) => outcome === "backed-off").length, 17);
    const refused = await t.verify("ada", "secret");
    assert.deepEqual(refused, { outcome: "backed-off", retryAfterMs: 1_000 });
    assert.equal(t.calls.length, 3);
  });

  test("verify() does not let anybody lock out a user from another address, nor another user at this one", async () => {
    await using t = await setUpPasswords();
    for (let i = 0; i < 3; i++) await t.verify("ada", `guess${i}`);
    assert.equal((await t.verify("ada", "secret")).outcome, "backed-off");
    assert.equal((await t.verify("ada", "secret", "192.0.2.2")).outcome, "accepted");
    assert.equal((await t.verify("grace", "other")).outcome, "accepted");
    // Who is remembered as good is not held up by guesses from the same address.
    assert.equal((await t.verify("ada", "secret")).outcome, "accepted");
  });

  test("verify() clears the back-off after a success", async () => {
    await using t = await setUpPasswords();
    await t.verify("ada", "guess1");
    await t.verify("ada", "guess2");
    await t.verify("ada", "secret");
    for (const guess of ["guess3", "guess4", "guess5"]) {
      assert.equal((await t.verify("ada", guess)).outcome, "invalid", guess);
    }
    assert.equal((await t.verify("ada", "guess6")).outcome, "backed-off");
  });

  test("verify() remembers a good pair for a minute, hashes once for callers at the same time, never a bad one", async () => {
    await using t = await setUpPasswords();
    const results = await Promise.all(Array.from({ length: 30 }, () => t.verify("ada", "secret")));
    assert.ok(results.every(({ outcome }) => outcome === "accepted"));
    assert.equal(t.calls.length, 1);

    const signal = AbortSignal.timeout(10_000);
    const request = { text: basic("ada", "secret"), network: "192.0.2.1" };
    t.clock.advance(59_999);
    assert.ok(!(t.verifier.verify(request, signal) instanceof Promise));
    t.clock.advance(1);
    assert.ok((await t.verifier.verify(request, signal)).outcome === "accepted");
    assert.equal(t.calls.length, 2);

    await t.verify("grace", "wrong");
    await t.verify("grace", "wrong");
    assert.equal(t.calls.length, 4);
  });

  test("verify() vouches for a person of the file, without freshness, by a fingerprint that hides the password", async () => {
    await using t = await setUpPasswords();
    const result = await t.verify("ada", "secret");
    assert.ok(result.outcome === "accepted");
    assert.deepEqual(result.principal, {
      kind: "person",
      issuer: "urn:tidegate:users:demo",
      subject: "ada",
      client: "",
      scopes: new Set(["tasks:read"]),
      acr: "urn:tidegate:acr:basic",
      authTimeSeconds: 0,
      issuedAtSeconds: 0,
      sessionId: "",
      tokenId: "",
      keyThumbprint: "",
      expiresAtMs: Number.POSITIVE_INFINITY,
    });
    assert.match(result.fingerprint, /^[\w-]{43}$/);
    // An unkeyed digest would let whoever sees it try passwords.
    assert.notEqual(result.fingerprint, hash("sha256", basic("ada", "secret"), "base64url"));
  });

  test("verify() forgets the old password as soon as the file has a new one, and a removed user at once", async () => {
    await using t = await setUpPasswords();
    await t.verify("ada", "secret");
    await t.verify("grace", "other");
    const users = { ada: await t.entryFor("changed") };
    await writeFile(t.path, JSON.stringify({ ...t.document, users }));
    t.clock.advance(2_000);
    await waitFor(() => t.reloads.length === 1, { what: "the reload" });
    assert.deepEqual(t.reloads, [undefined]);
    assert.equal((await t.verify("ada", "secret")).outcome, "invalid");
    assert.equal((await t.verify("grace", "other")).outcome, "invalid");
    assert.equal((await t.verify("ada", "changed")).outcome, "accepted");
  });

  test("verify() rejects with the signal's reason when the caller leaves", async () => {
    await using t = await setUpPasswords();
    t.state.holds = true;
    const caller = new AbortController();
    const waiting = t.verifier.verify({ text: basic("ada", "secret"), network: "" }, caller.signal);
    caller.abort(new Error("client left"));
    await assert.rejects(Promise.resolve(waiting), /client left/);
    for (const release of t.held) release();
  });
});

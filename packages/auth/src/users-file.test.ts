import assert from "node:assert/strict";
import { readFile, rm, stat, writeFile } from "node:fs/promises";
import { describe, test } from "node:test";
import { manualClock } from "@tidegate/clock";
import { tempFolder, waitFor } from "@tidegate/testkit";
import { hashPassword, verifyPassword } from "./password-hash.ts";
import { parseUsersFile, setUser } from "./users-file.ts";
import { openUsersFile } from "./users-source.ts";
import { countingKey, random, setUpPasswords } from "../test/password-fixture.ts";

describe("users file", () => {
  test("parseUsersFile() names every problem in one message and quotes no hash", async () => {
    const good = await hashPassword("secret", { random, deriveKey: countingKey().deriveKey });
    const text = JSON.stringify({
      name: "Demo",
      users: {
        ada: { password: "secret-in-clear" },
        "gr:ace": { password: good },
        "": { password: good },
        linus: { password: good, scopes: ["a b"] },
        margaret: { password: good, scope: "a", subject: 1 },
        alan: "nobody",
        one: { password: good, subject: "same" },
        two: { password: good, subject: "same" },
      },
    });
    assert.throws(
      () => parseUsersFile(text, "users.json"),
      ({ message }: Error) => {
        for (const part of [
          "users.json",
          "name:",
          'users."ada".password',
          'users."gr:ace"',
          'users."":',
          'users."linus".scopes',
          'users."margaret".scope:',
          'users."margaret".subject',
          'users."alan"',
          'users."two": is the same subject as users."one"',
        ]) {
          assert.ok(message.includes(part), `${part} in ${message}`);
        }
        assert.ok(!message.includes(good) && !message.includes("secret-in-clear"));
        return true;
      },
    );
    assert.throws(() => parseUsersFile("{", "users.json"), /users\.json: not JSON/);
    assert.throws(() => parseUsersFile("[]", "users.json"), /users: must be an object/);
  });

  test("openUsersFile() keeps the users of before when a change cannot be used, and says so", async () => {
    await using t = await setUpPasswords();
    await writeFile(t.path, "{");
    t.clock.advance(2_000);
    await waitFor(() => t.reloads.length === 1, { what: "the report" });
    assert.match(String(t.reloads[0]), /not JSON/);
    assert.equal((await t.verify("ada", "secret")).outcome, "accepted");

    await rm(t.path);
    t.clock.advance(2_000);
    await waitFor(() => t.reloads.length === 2, { what: "the report" });
    assert.match(String(t.reloads[1]), /ENOENT/);
    assert.equal((await t.verify("grace", "other")).outcome, "accepted");
  });

  test("openUsersFile() refuses a missing file with its path", async () => {
    await assert.rejects(
      openUsersFile({ path: "/nowhere/users.json", clock: manualClock(0) }),
      /Cannot read the users file \/nowhere\/users\.json: ENOENT/,
    );
  });

  test("setUser() makes the file for its owner's eyes, adds and replaces, and refuses what would spoil it", async () => {
    await using folder = await tempFolder();
    const path = folder.file("users.json");
    const add = (user: string, password: string) =>
      setUser({ path, fileName: "demo", user, password, scopes: ["tasks:read"], random });
    await add("ada", "first");
    await add("grace", "second");
    await add("ada", "third");
    assert.equal((await stat(path)).mode & 0o777, 0o600);
    const text = await readFile(path, "utf8");
    const { issuer, users } = parseUsersFile(text, path);
    assert.equal(issuer, "urn:tidegate:users:demo");
    assert.deepEqual([...users.keys()].sort(), ["ada", "grace"]);
    const ada = users.get("ada");
    assert.ok(ada && (await verifyPassword("third", ada.passwordHash)));

    await assert.rejects(add("a:b", "x"), /no colon/);
    assert.equal(await readFile(path, "utf8"), text);
  });
});

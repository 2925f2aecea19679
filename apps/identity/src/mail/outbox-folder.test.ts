import assert from "node:assert/strict";
import { readdir, readFile, stat } from "node:fs/promises";
import { test } from "node:test";
import { manualClock, systemRandom } from "@tidegate/clock";
import { tempFolder } from "@tidegate/testkit";
import { openOutboxFolder } from "./outbox-folder.ts";

test("openOutboxFolder() keeps the newest letters as files that only their owner reads", async () => {
  await using folder = await tempFolder();
  const clock = manualClock(Date.UTC(2026, 10, 23, 9));
  const outbox = folder.file("outbox");
  const options = { folder: outbox, from: "Tidegate <no-reply@localhost>", random: systemRandom };
  await using mailer = await openOutboxFolder({ ...options, clock, maxLetters: 3 });
  for (let number = 1; number <= 5; number++) {
    const message = { to: "ada@example.org", subject: `Letter ${number}`, text: "Hello\n" };
    await mailer.send(message, AbortSignal.timeout(5_000));
    clock.advance(1_000);
  }
  const names = (await readdir(outbox)).toSorted();
  assert.equal(names.length, 3);
  assert.ok(names.every((name) => /^2026-11-23T09-00-0\d\.000Z-[0-9a-f]{8}\.eml$/.test(name)));
  assert.match(await readFile(`${outbox}/${names[0]}`, "utf8"), /^Subject: Letter 3\r$/m);
  assert.equal((await stat(`${outbox}/${names[0]}`)).mode & 0o777, 0o600);
  assert.equal((await stat(outbox)).mode & 0o777, 0o700);
});

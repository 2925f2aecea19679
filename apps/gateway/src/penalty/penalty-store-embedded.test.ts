// Runs alone: it counts bytes that optimised code allocates, and a busy machine optimises late.

import assert from "node:assert/strict";
import { statSync } from "node:fs";
import { describe, test } from "node:test";
import { DatabaseSync } from "node:sqlite";
import { getHeapStatistics } from "node:v8";
import { ANONYMOUS } from "@tidegate/auth";
import { manualClock, systemRandom, type ManualClock } from "@tidegate/clock";
import { tempFolder } from "@tidegate/testkit";
import { penaltyKeyOf } from "./penalty-key.ts";
import { ada, lookAt, penaltyStoreContract } from "./penalty-store.contract.ts";
import { EmbeddedPenalties } from "./penalty-store-embedded.ts";
import { PenaltyTable } from "./penalty-table.ts";

const open = (clock: ManualClock, file = ":memory:", maxPenalties = 1_024): EmbeddedPenalties =>
  new EmbeddedPenalties({ file, clock, random: systemRandom, maxPenalties });

const address = (number: number) => penaltyKeyOf(ANONYMOUS, `10.${number >> 8}.${number & 255}.1`);

penaltyStoreContract("embedded store", async (clock) => {
  const store = open(clock);
  return { store, [Symbol.asyncDispose]: async () => store[Symbol.dispose]() };
});

describe("EmbeddedPenalties", () => {
  test("survives a restart: who is boxed stays so, for the time that is left", async () => {
    await using folder = await tempFolder();
    const clock = manualClock(1_800_000_000_000);
    {
      using store = open(clock, folder.file("penalties"));
      await store.strike(ada, "calls");
    }
    assert.equal(statSync(folder.file("penalties")).mode & 0o777, 0o600);
    clock.advance(20_000);
    using store = open(clock, folder.file("penalties"));
    const view = lookAt(store, ada);
    assert.ok(view.retryAfterMs >= 10_000 && view.retryAfterMs <= 10_200);
    assert.equal(view.reauthenticateAfterMs, 1_800_000_000_000);
    assert.equal((await store.list(10))[0]?.reason, "calls");
    clock.advance(10_200);
    assert.equal(store.isBoxed(store.name(ada)), false);
    await store.strike(ada, "calls");
    assert.equal(lookAt(store, ada).strikes, 2);
  });

  test("a lift survives a restart too", async () => {
    await using folder = await tempFolder();
    const clock = manualClock(1_800_000_000_000);
    {
      using store = open(clock, folder.file("penalties"));
      await store.strike(ada, "calls");
      await store.lift(ada.narrow);
    }
    using store = open(clock, folder.file("penalties"));
    assert.equal(store.isBoxed(store.name(ada)), false);
  });

  test("a step of the wall clock opens no box and makes none longer", async () => {
    const clock = manualClock(1_800_000_000_000);
    using store = open(clock);
    await store.strike(ada, "calls");
    clock.stepWall(86_400_000);
    assert.equal(store.isBoxed(store.name(ada)), true);
    clock.stepWall(-10 * 86_400_000);
    clock.advance(30_200);
    assert.equal(store.isBoxed(store.name(ada)), false);
  });

  test("a restart under a wall clock that went back makes no penalty longer than an hour", async () => {
    await using folder = await tempFolder();
    const clock = manualClock(1_800_000_000_000);
    {
      using store = open(clock, folder.file("penalties"));
      await store.strike(ada, "calls");
    }
    clock.stepWall(-30 * 86_400_000);
    using store = open(clock, folder.file("penalties"));
    const view = lookAt(store, ada);
    assert.ok(view.retryAfterMs <= 3_600_100);
    // P is not in the future: whoever signs in from now on has signed in later.
    assert.ok(view.reauthenticateAfterMs <= clock.wallMs());
  });

  test("a disk that takes nothing is reported, and the caller is boxed all the same", async () => {
    await using folder = await tempFolder();
    const clock = manualClock(1_800_000_000_000);
    using store = open(clock, folder.file("penalties"));
    using other = new DatabaseSync(folder.file("penalties"));
    other.exec("drop table penalty");
    await assert.rejects(store.strike(ada, "calls"));
    assert.equal(store.isBoxed(store.name(ada)), true);
  });

  test("a file of a later version is not touched", async () => {
    await using folder = await tempFolder();
    using other = new DatabaseSync(folder.file("penalties"));
    other.exec("pragma user_version = 9");
    assert.throws(() => open(manualClock(0), folder.file("penalties")), /form 9/);
  });

  test("full of addresses: nobody comes free, new ones are boxed with their network, people still have room", async () => {
    const clock = manualClock(1_800_000_000_000);
    using store = open(clock, ":memory:", 64);
    const first = address(0);
    for (let number = 0; number < 32; number++)
      assert.equal((await store.strike(address(number), "calls")).outcome, "boxed");
    for (let number = 32; number < 40; number++) {
      const struck = await store.strike(address(number), "calls");
      assert.equal(struck.outcome, "boxed");
      assert.equal(store.isBoxed(store.name(address(number))), true);
      assert.equal(
        struck.outcome === "boxed" && struck.entry.key,
        `["network","10.0.${number}.0/24"]`,
      );
    }
    assert.deepEqual(await store.strike(address(40), "calls"), { outcome: "full" });
    assert.equal(store.isBoxed(store.name(first)), true);
    assert.equal((await store.strike(ada, "calls")).outcome, "boxed");
    // Strikes that decayed make room again.
    clock.advance(3_600_000);
    const struck = await store.strike(address(41), "calls");
    assert.equal(struck.outcome === "boxed" && struck.entry.key, address(41).narrow);
  });

  test("memory and table stay bounded over many callers and hours", async () => {
    const clock = manualClock(1_800_000_000_000);
    using store = open(clock, ":memory:", 64);
    const { byteLength } = store.memory.buffer;
    for (let number = 0; number < 5_000; number++) {
      clock.advance(200_000);
      const key = address(number);
      assert.equal((await store.strike(key, "calls")).outcome, "boxed");
      assert.equal(store.isBoxed(store.name(key)), true);
    }
    assert.ok((await store.list(10_000)).length <= 64);
    assert.equal(store.memory.buffer.byteLength, byteLength);
    clock.advance(10 * 3_600_000);
    assert.equal(store.isEmpty, true);
  });

  test("another thread's view sees a penalty and its end without being told", async () => {
    const clock = manualClock(1_800_000_000_000);
    using store = open(clock);
    const view = new PenaltyTable(store.memory, clock);
    const name = view.name(ada);
    assert.equal(view.isBoxed(name), false);
    await store.strike(ada, "calls");
    assert.equal(view.isBoxed(name), true);
    assert.equal(view.epoch, store.epoch);
    await store.lift(ada.narrow);
    assert.equal(view.isBoxed(name), false);
  });

  // So many that what reading the count itself adds is below a third of a byte a call: the runtime gives up the rest
  // of the thread's allocation area for it, up to 256 KiB, and counts that as allocated.
  const CALLS = 900_000;

  /** Bytes per call of the leanest of some rounds: code that is not optimised yet allocates, and the compiler does too. */
  function bytesPerCall(ask: (call: number) => void): number {
    let least = Number.POSITIVE_INFINITY;
    for (let round = 0; round < 20 && least >= 1; round++) {
      const before = getHeapStatistics().total_allocated_bytes;
      for (let call = 0; call < CALLS; call++) ask(call);
      least = Math.min(least, (getHeapStatistics().total_allocated_bytes - before) / CALLS);
    }
    return least;
  }

  test("isBoxed() allocates nothing, whether somebody is boxed or not", async () => {
    using store = open(manualClock(1_800_000_000_000));
    for (let number = 0; number < 100; number++) await store.strike(address(number), "calls");
    const names = [address(1), address(200), ada].map((key) => store.name(key));
    let boxed = 0;
    const bytes = bytesPerCall((call) => {
      if (store.isBoxed(names[call % 3]!)) boxed++;
    });
    assert.ok(bytes < 1, `${bytes} bytes a call`);
    assert.ok(boxed >= CALLS / 3);
  });

  test("the measure sees one object made for one of three callers", () => {
    const made: { value: number }[] = [];
    const bytes = bytesPerCall((call) => {
      if (call % 3 === 0) made[0] = { value: call };
    });
    assert.ok(bytes >= 4, `${bytes} bytes a call`);
  });
});

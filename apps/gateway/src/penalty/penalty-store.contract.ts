import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ANONYMOUS, type Principal } from "@tidegate/auth";
import { manualClock, type ManualClock } from "@tidegate/clock";
import { penaltyKeyOf, type PenaltyKey } from "./penalty-key.ts";
import { createPenaltyView, type PenaltyStore, type PenaltyView } from "./penalty-store.ts";

const START_MS = 1_800_000_000_000;
const HOUR_MS = 3_600_000;

const person = (subject: string, client = "web"): Principal => ({
  ...ANONYMOUS,
  kind: "person",
  issuer: "https://idp.example/",
  subject,
  client,
});
export const ada: PenaltyKey = penaltyKeyOf(person("ada"), "192.0.2.1");
const adaElsewhere = penaltyKeyOf(person("ada", "phone"), "192.0.2.1");
const bob = penaltyKeyOf(person("bob"), "192.0.2.1");
const robot = penaltyKeyOf({ ...person("", "robot"), kind: "client" }, "192.0.2.1");
const somebody = penaltyKeyOf(ANONYMOUS, "192.0.2.1");
const neighbour = penaltyKeyOf(ANONYMOUS, "192.0.2.2");

export function lookAt(store: PenaltyStore, key: PenaltyKey): PenaltyView {
  const view = createPenaltyView();
  store.look(store.name(key), view);
  return view;
}

/**
 * What every `PenaltyStore` keeps to.
 * @param open a store with nothing in it, whose time is that of the clock
 */
export function penaltyStoreContract(
  name: string,
  open: (clock: ManualClock) => Promise<{ readonly store: PenaltyStore } & AsyncDisposable>,
): void {
  describe(`${name} as PenaltyStore`, () => {
    const withStore = async (
      run: (store: PenaltyStore, clock: ManualClock) => Promise<void>,
    ): Promise<void> => {
      const clock = manualClock(START_MS);
      await using opened = await open(clock);
      await run(opened.store, clock);
    };
    const isBoxed = (store: PenaltyStore, key: PenaltyKey): boolean =>
      store.isBoxed(store.name(key));

    test("nobody is boxed at first, and nothing is owed", () =>
      withStore(async (store) => {
        assert.equal(store.isEmpty, true);
        assert.equal(isBoxed(store, ada), false);
        assert.deepEqual(lookAt(store, ada), createPenaltyView());
        assert.deepEqual(await store.list(10), []);
      }));

    test("strike() boxes its caller alone: not another person, client or the address they came from", () =>
      withStore(async (store) => {
        const { epoch } = store;
        const struck = await store.strike(ada, "calls");
        assert.equal(struck.outcome, "boxed");
        assert.notEqual(store.epoch, epoch);
        assert.equal(isBoxed(store, ada), true);
        for (const other of [adaElsewhere, bob, robot, somebody])
          assert.equal(isBoxed(store, other), false);
        await store.strike(somebody, "calls");
        assert.equal(isBoxed(store, neighbour), false);
        assert.equal(isBoxed(store, bob), false);
      }));

    test("the box opens by itself after 30 s, not before", () =>
      withStore(async (store, clock) => {
        await store.strike(ada, "calls");
        const view = lookAt(store, ada);
        assert.equal(view.isBoxed, true);
        assert.equal(view.strikes, 1);
        assert.ok(view.retryAfterMs >= 30_000 && view.retryAfterMs <= 30_200);
        clock.advance(29_999);
        assert.equal(isBoxed(store, ada), true);
        clock.advance(201);
        assert.equal(isBoxed(store, ada), false);
        assert.equal(lookAt(store, ada).retryAfterMs, 0);
      }));

    test("a person owes a sign-in after P, boxed or not; an address owes nothing", () =>
      withStore(async (store, clock) => {
        clock.advance(400);
        await store.strike(ada, "calls");
        await store.strike(somebody, "calls");
        assert.equal(lookAt(store, ada).reauthenticateAfterMs, START_MS);
        clock.advance(24 * HOUR_MS);
        assert.equal(lookAt(store, ada).reauthenticateAfterMs, START_MS);
        assert.equal(lookAt(store, adaElsewhere).reauthenticateAfterMs, 0);
        assert.equal(lookAt(store, somebody).reauthenticateAfterMs, 0);
      }));

    test("a strike for who is boxed changes nothing: not the time, not the count", () =>
      withStore(async (store, clock) => {
        await store.strike(ada, "calls");
        const [before] = await store.list(10);
        clock.advance(10_000);
        assert.deepEqual(await store.strike(ada, "other"), { outcome: "already-boxed" });
        assert.deepEqual(await store.list(10), [before]);
        clock.advance(20_200);
        assert.equal(isBoxed(store, ada), false);
      }));

    test("time grows with each strike, and the third boxes the person with every client", () =>
      withStore(async (store, clock) => {
        const waits: number[] = [];
        for (let count = 0; count < 3; count++) {
          assert.equal(isBoxed(store, adaElsewhere), false);
          await store.strike(ada, "calls");
          waits.push(Math.floor(lookAt(store, ada).retryAfterMs / 1_000));
          clock.advance(count < 2 ? 100_000 : 0);
        }
        assert.deepEqual(waits, [30, 60, 120]);
        assert.equal(isBoxed(store, adaElsewhere), true);
        assert.equal(isBoxed(store, ada), true);
        assert.equal(isBoxed(store, bob), false);
        assert.ok(lookAt(store, adaElsewhere).reauthenticateAfterMs > 0);
        assert.deepEqual(
          (await store.list(10)).map(({ key, strikes }) => [key, strikes]),
          [[ada.wide, 3]],
        );
        clock.advance(120_200);
        await store.strike(adaElsewhere, "calls");
        assert.equal(lookAt(store, ada).strikes, 4);
      }));

    test("one strike decays per hour", () =>
      withStore(async (store, clock) => {
        await store.strike(bob, "calls");
        clock.advance(40_000);
        await store.strike(bob, "calls");
        clock.advance(HOUR_MS);
        assert.equal((await store.list(10))[0]?.strikes, 1);
        await store.strike(bob, "calls");
        assert.equal(lookAt(store, bob).strikes, 2);
        clock.advance(3 * HOUR_MS);
        await store.strike(bob, "calls");
        assert.equal(lookAt(store, bob).strikes, 1);
      }));

    test("a client is suspended at its fifth strike until it is lifted", () =>
      withStore(async (store, clock) => {
        for (let count = 0; count < 5; count++) {
          await store.strike(robot, "calls");
          if (count < 4) clock.advance(500_000);
        }
        assert.equal(lookAt(store, robot).retryAfterMs, Number.POSITIVE_INFINITY);
        assert.equal(lookAt(store, robot).reauthenticateAfterMs, 0);
        clock.advance(1_000 * HOUR_MS);
        assert.equal(isBoxed(store, robot), true);
        const [entry] = await store.list(10);
        assert.equal(entry?.isBoxed, true);
        assert.equal(entry !== undefined && "untilMs" in entry, false);
        assert.equal(await store.lift(robot.narrow), true);
        assert.equal(isBoxed(store, robot), false);
      }));

    test("lift() forgives everything at once, and says whether there was anything", () =>
      withStore(async (store) => {
        await store.strike(ada, "calls");
        const { epoch } = store;
        const { generation } = lookAt(store, ada);
        assert.equal(await store.lift(ada.narrow), true);
        assert.notEqual(store.epoch, epoch);
        assert.equal(isBoxed(store, ada), false);
        const view = lookAt(store, ada);
        assert.deepEqual([view.strikes, view.reauthenticateAfterMs], [0, 0]);
        assert.notEqual(view.generation, generation);
        assert.equal(await store.lift(ada.narrow), false);
        assert.deepEqual(await store.list(10), []);
        await store.strike(ada, "calls");
        assert.equal(lookAt(store, ada).strikes, 1);
      }));

    test("list() shows who, why, since when and until when, the latest first, and no more than asked", () =>
      withStore(async (store, clock) => {
        await store.strike(ada, "calls");
        clock.advance(1_000);
        await store.strike(somebody, "x".repeat(1_000));
        const [latest, first] = await store.list(10);
        assert.equal(latest?.key, somebody.narrow);
        assert.equal(latest?.reason.length, 100);
        assert.deepEqual(first, {
          key: ada.narrow,
          kind: "person",
          strikes: 1,
          reason: "calls",
          startedMs: START_MS,
          untilMs: START_MS + 30_000,
          isBoxed: true,
        });
        assert.equal((await store.list(1)).length, 1);
      }));

    test("many strikes at once for one caller are one penalty", () =>
      withStore(async (store) => {
        const results = await Promise.all(
          Array.from({ length: 20 }, () => store.strike(somebody, "calls")),
        );
        assert.equal(results.filter(({ outcome }) => outcome === "boxed").length, 1);
        assert.equal(lookAt(store, somebody).strikes, 1);
      }));
  });
}

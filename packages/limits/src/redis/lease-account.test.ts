import assert from "node:assert/strict";
import { test } from "node:test";
import { LeaseAccount } from "./lease-account.ts";
import { leaseDeadlineMs, leaseSize } from "./lease-size.ts";
import { toSharedPlan } from "./shared-plan.ts";

const TTL = 300;
const plan = toSharedPlan(
  {
    definition: { kind: "window", name: "w", limit: 100, seconds: 60 },
    whenStoreLost: "deny",
  },
  2,
);
const openAccount = () => new LeaseAccount(plan, { key: "k", tag: 0, caller: "ada" });

function spend(account: LeaseAccount, units: number, nowMs: number): boolean {
  if (!account.covers(units, nowMs)) return false;
  account.spend(units);
  return true;
}

test("a lease is spent until its end, counted from before it was asked for, and not a moment later", () => {
  const account = openAccount();
  account.accept(1, 10, 1_000, TTL);
  const endMs = leaseDeadlineMs(1_000, TTL);
  assert.ok(endMs < 1_300);
  assert.equal(spend(account, 4, endMs - 0.001), true);
  assert.equal(spend(account, 1, endMs), false);
  assert.deepEqual(account.takeNews().ends, [{ seq: 1, spent: 4 }]);
  assert.equal(spend(account, 1, 1_001), false, "what was ended is never touched again");
});

test("a second lease is spent after the first, and the end of the first names it and what it spent", () => {
  const account = openAccount();
  account.accept(1, 3, 0, TTL);
  account.accept(2, 5, 100, TTL);
  assert.equal(spend(account, 2, 110), true);
  assert.equal(account.hasNews, false);
  assert.equal(spend(account, 2, 110), true, "the first has one left, so the second serves");
  assert.deepEqual(account.takeNews().ends, [{ seq: 1, spent: 2 }]);
  assert.equal(account.left, 3);
  assert.equal(spend(account, 4, 110), false);
  assert.equal(account.left, 3, "a cost that does not fit leaves the lease in hand");
});

test("giveBack() returns units to the lease they came from, and none to one that has ended", () => {
  const account = openAccount();
  account.accept(1, 3, 0, TTL);
  spend(account, 3, 1);
  account.giveBack(1, 2);
  assert.equal(account.left, 2);
  account.endAll();
  account.giveBack(1, 1);
  assert.equal(account.left, 0);
  assert.deepEqual(account.takeNews().ends, [{ seq: 1, spent: 1 }]);
});

test("endOld() hands back a lease that nobody spends, in time; one that is being spent only when another takes over", () => {
  const account = openAccount();
  account.accept(1, 10, 0, TTL);
  account.endOld(0);
  spend(account, 1, 50);
  account.endOld(leaseDeadlineMs(0, TTL));
  assert.equal(account.left, 9, "a unit was spent since");
  account.endOld(leaseDeadlineMs(0, TTL) - 1);
  assert.equal(account.left, 9, "its time is not over by then");
  account.hear(
    {
      status: 1,
      granted: 0,
      free: 0,
      waitMs: 60_000,
      resetMs: 0,
      bookedUs: 0,
      others: 0,
      unrenewed: [],
    },
    20,
    100,
  );
  account.endOld(leaseDeadlineMs(0, TTL));
  assert.equal(account.left, 0);
  assert.deepEqual(account.takeNews().ends, [{ seq: 1, spent: 1 }]);
  assert.equal(account.isDenied(20, 101), false, "the store has what was given back");

  account.accept(2, 10, 0, TTL);
  account.accept(3, 10, 100, TTL);
  account.endOld(0);
  spend(account, 4, 200);
  account.endOld(leaseDeadlineMs(0, TTL));
  assert.deepEqual(account.takeNews().ends, [{ seq: 2, spent: 4 }]);
  assert.equal(account.left, 10);
});

test("a third lease that comes while two are in hand replaces the second, which is handed back unspent", () => {
  const account = openAccount();
  account.accept(1, 3, 0, TTL);
  account.accept(2, 3, 10, TTL);
  account.accept(3, 3, 20, TTL);
  assert.deepEqual(account.takeNews().ends, [{ seq: 2, spent: 0 }]);
  assert.equal(account.left, 6);
});

test("forgetLeases() says nothing of them: the store takes them as spent", () => {
  const account = openAccount();
  account.accept(1, 3, 0, TTL);
  account.forgetLeases();
  assert.equal(account.holdsLease, false);
  assert.equal(account.hasNews, false);
});

test("a denial covers its cost and higher ones until its time, and lower ones are asked for", () => {
  const account = openAccount();
  const answer = {
    status: 1,
    granted: 0,
    free: 2,
    waitMs: 50,
    resetMs: 90,
    bookedUs: 0,
    others: 0,
    unrenewed: [],
  } as const;
  account.hear(answer, 3, 1_000);
  assert.deepEqual(
    [
      account.isDenied(3, 1_049),
      account.isDenied(9, 1_049),
      account.isDenied(2, 1_049),
      account.isDenied(3, 1_050),
    ],
    [true, true, false, false],
  );
});

test("leaseSize() never takes more than half of an equal part, and at least one unit", () => {
  assert.equal(leaseSize(plan, 1, 1_000), 50);
  assert.equal(leaseSize(plan, 5, 1_000), 10);
  assert.equal(leaseSize(plan, 1_000, 1_000), 1);
  assert.equal(leaseSize(plan, 1, 0), 1);
});

test("toSharedPlan() withholds whole units for each node, and names what cannot be shared", () => {
  const definition = { kind: "bucket", name: "b", count: 10, seconds: 1, burst: 100 } as const;
  const share = toSharedPlan({ definition, whenStoreLost: "share" }, 4);
  assert.equal(share.sharedCapacity, 80);
  assert.deepEqual(share.fallback, { ...definition, burst: 5, seconds: 20 });
  // The refill of the withheld part is withheld too: 10 a second, 8 by the store and 4 × 0.5 by the nodes.
  assert.equal(share.span, (64e6 / 10) * (100 / 80));
  const refused = { definition: { ...definition, shadow: true }, whenStoreLost: "deny" } as const;
  assert.throws(() => toSharedPlan(refused, 4), /shadow is true/);
});

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { beginOwner, endOwner, LOCK, SharedLocks } from "./record-lock.ts";

const AT = 200;

function open() {
  const i32 = new Int32Array(new SharedArrayBuffer(1024));
  const lives = [beginOwner(i32, 1), beginOwner(i32, 2)] as const;
  return { i32, lives, locks: lives.map((life) => new SharedLocks(i32, life)) };
}

describe("SharedLocks", () => {
  test("take() gives up after a bounded wait while a live thread holds the lock", () => {
    const { locks } = open();
    assert.equal(locks[0]!.take(AT), LOCK.taken);
    const begunMs = performance.now();
    assert.equal(locks[1]!.take(AT), LOCK.missed);
    assert.ok(performance.now() - begunMs < 2_000);
    assert.equal(locks[1]!.timedOut, 1);
    assert.equal(locks[1]!.tryTake(AT), LOCK.missed);
    locks[0]!.release(AT);
    assert.equal(locks[1]!.take(AT), LOCK.taken);
  });

  test("take() and tryTake() take over what an ended thread holds, and say so", () => {
    const { i32, lives, locks } = open();
    locks[0]!.take(AT);
    locks[0]!.take(AT + 1);
    endOwner(i32, lives[0]);
    assert.equal(locks[1]!.take(AT), LOCK.broken);
    assert.equal(locks[1]!.tryTake(AT + 1), LOCK.broken);
    assert.equal(locks[1]!.broken, 2);
    locks[1]!.release(AT);
    assert.equal(locks[1]!.take(AT), LOCK.taken);
  });

  test("a thread started again does not hold what it held in its earlier life", () => {
    const { i32, lives, locks } = open();
    locks[0]!.take(AT);
    endOwner(i32, lives[0]);
    const again = new SharedLocks(i32, beginOwner(i32, 1));
    assert.equal(again.take(AT), LOCK.broken);
    // And the end of the earlier life, told late, does not end this one.
    endOwner(i32, lives[0]);
    assert.equal(locks[1]!.tryTake(AT), LOCK.missed);
  });

  test("release() leaves a lock that was taken over to its new holder", () => {
    const { i32, lives, locks } = open();
    locks[0]!.take(AT);
    endOwner(i32, lives[0]);
    locks[1]!.take(AT);
    locks[0]!.release(AT);
    assert.equal(Atomics.load(i32, AT), lives[1]);
  });

  test("an ended life cannot take locks any more", () => {
    const { i32, lives } = open();
    endOwner(i32, lives[0]);
    assert.throws(() => new SharedLocks(i32, lives[0]), /not alive/);
  });
});

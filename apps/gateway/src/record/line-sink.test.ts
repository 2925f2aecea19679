import assert from "node:assert/strict";
import { test } from "node:test";
import { manualClock } from "@tidegate/clock";
import { createLineSink } from "./line-sink.ts";
import type { LogDestination } from "./log-destination.ts";

/** A destination that takes a chunk only when the test says so. */
function heldDestination(): LogDestination & {
  readonly taken: string[];
  release(error?: Error): void;
  isClosed: boolean;
} {
  let pending: ((error: Error | undefined) => void) | undefined;
  const self = {
    taken: [] as string[],
    isClosed: false,
    write(chunk: Buffer, done: (error: Error | undefined) => void) {
      assert.equal(pending, undefined, "one chunk at a time");
      self.taken.push(chunk.toString("utf8"));
      pending = done;
    },
    release(error?: Error) {
      const done = pending;
      pending = undefined;
      done?.(error);
    },
    close() {
      self.isClosed = true;
    },
  };
  return self;
}

const open = (maxBufferedBytes = 131_072) => {
  const clock = manualClock(0);
  const destination = heldDestination();
  return {
    clock,
    destination,
    sink: createLineSink({ destination, maxBufferedBytes, clock }),
  };
};

test("write() drops and counts what does not fit while nobody reads, and takes lines again afterwards", () => {
  const { clock, destination, sink } = open(1_000);
  const line = `${"x".repeat(99)}\n`;
  for (let count = 0; count < 10_000; count += 1) sink.write(line);
  clock.advance(20);
  assert.equal(sink.bufferedBytes, 1_000);
  assert.equal(sink.droppedLines, 9_990);
  destination.release();
  assert.equal(sink.bufferedBytes, 0);
  sink.write("after\n");
  clock.advance(20);
  assert.equal(destination.taken.at(-1), "after\n");
  assert.equal(sink.droppedLines, 9_990);
});

test("write() counts bytes, not characters, towards the bound", () => {
  const { sink } = open(10);
  sink.write("ééééé");
  assert.equal(sink.bufferedBytes, 10);
  sink.write("x");
  assert.equal(sink.droppedLines, 1);
});

test("write() gathers lines for 20 ms, and hands over at once when a chunk is full", () => {
  const { clock, destination, sink } = open();
  sink.write("one\n");
  sink.write("two\n");
  clock.advance(19);
  assert.deepEqual(destination.taken, []);
  clock.advance(1);
  assert.deepEqual(destination.taken, ["one\ntwo\n"]);
  destination.release();
  sink.write("y".repeat(20_000));
  assert.equal(destination.taken.length, 1);
  sink.write("z".repeat(20_000));
  assert.deepEqual(destination.taken.at(-1), "y".repeat(20_000));
});

test("a chunk that went out takes no half-full one with it: what was written meanwhile gathers on", () => {
  const { clock, destination, sink } = open();
  sink.write("one\n");
  clock.advance(20);
  sink.write("two\n");
  clock.advance(5);
  destination.release();
  assert.deepEqual(destination.taken, ["one\n"]);
  sink.write("three\n");
  clock.advance(14);
  assert.deepEqual(destination.taken, ["one\n"]);
  clock.advance(1);
  assert.deepEqual(destination.taken, ["one\n", "two\nthree\n"]);
});

test("lines that were due while the destination was slow leave as soon as it is not", () => {
  const { clock, destination, sink } = open();
  sink.write("one\n");
  clock.advance(20);
  sink.write("two\n");
  clock.advance(20);
  assert.deepEqual(destination.taken, ["one\n"]);
  destination.release();
  assert.deepEqual(destination.taken, ["one\n", "two\n"]);
});

test("lines come out in their order, each once, whatever the destination's pace", () => {
  const { clock, destination, sink } = open(1_000_000);
  let expected = "";
  for (let count = 0; count < 5_000; count += 1) {
    const line = `${count} ${"z".repeat(count % 50)}\n`;
    expected += line;
    sink.write(line);
    if (count % 700 === 0) clock.advance(20);
    if (count % 900 === 0) destination.release();
  }
  clock.advance(20);
  while (sink.bufferedBytes > 0) destination.release();
  assert.equal(destination.taken.join(""), expected);
  assert.equal(sink.droppedLines, 0);
});

test("a line longer than a chunk comes out whole", () => {
  const { clock, destination, sink } = open(1_000_000);
  const long = `${"é".repeat(100_000)}\n`;
  sink.write("before\n");
  sink.write(long);
  sink.write("after\n");
  clock.advance(20);
  while (sink.bufferedBytes > 0) destination.release();
  assert.equal(destination.taken.join(""), `before\n${long}after\n`);
});

test("chunks that are used again never show what they held before", () => {
  const { clock, destination, sink } = open();
  for (let round = 0; round < 5; round += 1) {
    sink.write(`${String(round).repeat(5_000 - round * 1_000)}\n`);
    clock.advance(20);
    destination.release();
    assert.equal(destination.taken.at(-1), `${String(round).repeat(5_000 - round * 1_000)}\n`);
  }
});

test("a failed write is counted in lines and the next ones are tried", () => {
  const { clock, destination, sink } = open();
  sink.write("a\n");
  sink.write("b\n");
  clock.advance(20);
  sink.write("c\n");
  destination.release(new Error("no space"));
  assert.equal(sink.droppedLines, 2);
  clock.advance(20);
  assert.deepEqual(destination.taken, ["a\nb\n", "c\n"]);
});

test("flush() resolves when everything is out", async () => {
  const { destination, sink } = open();
  sink.write("a\n");
  const flushed = sink.flush(1_000);
  destination.release();
  assert.equal(await flushed, 0);
});

test("close() gives up at its deadline, counts what is lost and drops what comes later", async () => {
  const { clock, destination, sink } = open();
  sink.write("a\n");
  sink.write("b\n");
  const closed = sink.close(500);
  clock.advance(500);
  assert.equal(await closed, 2);
  assert.equal(destination.isClosed, true);
  sink.write("late\n");
  assert.equal(sink.droppedLines, 3);
  destination.release();
  assert.equal(sink.bufferedBytes, 0);
  assert.equal(clock.pendingTimers, 0);
});

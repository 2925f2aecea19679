import assert from "node:assert/strict";
import type { Socket } from "node:net";
import { Writable } from "node:stream";
import { describe, test } from "node:test";
import { Outbox } from "./outbox.ts";

/** A sink that takes bytes at once, or keeps them until it is let go. */
function sinkOf({ isSlow }: { isSlow: boolean }) {
  const waiting: (() => void)[] = [];
  const taken: Buffer[] = [];
  const memories: ArrayBufferLike[] = [];
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      memories.push(chunk.buffer);
      const take = (): void => {
        taken.push(Buffer.from(chunk));
        done();
      };
      if (isSlow) waiting.push(take);
      else take();
    },
  });
  return {
    socket: stream as unknown as Socket,
    memories,
    /** What it has taken; of a slow sink all that waited for it. */
    text() {
      for (let take = waiting.shift(); take !== undefined; take = waiting.shift()) take();
      return Buffer.concat(taken).toString("latin1");
    },
  };
}

const send = (outbox: Outbox, { socket }: { socket: Socket }, text: string): void => {
  const bytes = Buffer.from(`<${text}>`);
  outbox.send(socket, bytes, 1, bytes.length - 1);
  // They are the caller's again.
  bytes.fill("!");
};

describe("Outbox", () => {
  test("send() leaves what a slow sink still holds alone", () => {
    const outbox = new Outbox();
    const [slow, other] = [sinkOf({ isSlow: true }), sinkOf({ isSlow: true })];
    send(outbox, slow, "first ");
    send(outbox, other, "elsewhere");
    send(outbox, slow, "second ");
    send(outbox, slow, "third");
    assert.equal(slow.text(), "first second third");
    assert.equal(other.text(), "elsewhere");
  });

  test("send() puts what was spanned before the rest, in one write, once", () => {
    const outbox = new Outbox();
    for (const rest of ["payload", "", "x".repeat(70_000)]) {
      const sink = sinkOf({ isSlow: false });
      const header = Buffer.from("--header");
      outbox.span(header, 2, 8);
      header.fill("!");
      send(outbox, sink, rest);
      send(outbox, sink, "");
      assert.equal(sink.text(), `header${rest}`);
      assert.equal(sink.memories.length, 1);
    }
  });

  test("send() uses the same memory again when the sink takes all at once", () => {
    const outbox = new Outbox();
    const sink = sinkOf({ isSlow: false });
    for (const text of ["one", "two", "three"]) send(outbox, sink, text);
    assert.equal(new Set(sink.memories).size, 1);
    assert.equal(sink.text(), "onetwothree");
  });
});

import assert from "node:assert/strict";
import { setImmediate as turn } from "node:timers/promises";
import { describe, test } from "node:test";
import { manualClock } from "@tidegate/clock";
import { createLogger } from "@tidegate/service-kit";
import { createMailQueue } from "./mail-queue.ts";
import { MailRefused, type Mailer, type Message } from "./mailer.ts";

const MESSAGE: Message = { to: "ada@example.org", subject: "secret subject", text: "secret code" };

describe("createMailQueue()", () => {
  test("tries again with growing pauses, gives up within ten minutes, and logs neither recipient nor text", async () => {
    const { queue, clock, tries, lines } = open(() =>
      Promise.reject(new Error("connection refused")),
    );
    assert.equal(queue.post("verify-email", MESSAGE), true);
    for (let second = 0; second < 700; second++) {
      await turn();
      clock.advance(1_000);
    }
    assert.deepEqual(tries, [0, 2, 10, 42, 170]);
    assert.equal(queue.waiting, 0);
    assert.match(lines.join(""), /"event":"mail.failed","kind":"verify-email","tries":5/);
    assert.doesNotMatch(lines.join(""), /ada@|secret/);
    await queue[Symbol.asyncDispose]();
  });

  test("does not try again what was refused for good", async () => {
    const { queue, tries } = open(() => Promise.reject(new MailRefused("no such mailbox")));
    queue.post("verify-email", MESSAGE);
    await turn();
    assert.deepEqual([tries.length, queue.waiting], [1, 0]);
    await queue[Symbol.asyncDispose]();
  });

  test("holds so many letters and refuses the next at once; two are sent at a time", async () => {
    const held = Promise.withResolvers<void>();
    const { queue, tries } = open(() => held.promise, 5);
    const posted = Array.from({ length: 8 }, () => queue.post("reset-password", MESSAGE));
    assert.deepEqual(posted, [true, true, true, true, true, false, false, false]);
    assert.equal(tries.length, 2);
    held.resolve();
    for (let turns = 0; turns < 20; turns++) await turn();
    assert.deepEqual([tries.length, queue.waiting], [5, 0]);
    await queue[Symbol.asyncDispose]();
  });

  test("a mail server that never answers is left after twenty seconds", async () => {
    const { queue, clock, tries } = open((_message, signal) => untilStopped(signal));
    queue.post("verify-email", MESSAGE);
    clock.advance(20_000);
    await turn();
    clock.advance(2_000);
    await turn();
    assert.deepEqual(tries, [0, 22]);
    const closing = queue[Symbol.asyncDispose]();
    clock.advance(1_000);
    await closing;
  });

  test("closing gives what is under way a second, and takes nothing more", async () => {
    const { queue, clock, lines } = open((_message, signal) => untilStopped(signal));
    queue.post("verify-email", MESSAGE);
    const closing = queue[Symbol.asyncDispose]();
    clock.advance(1_000);
    await closing;
    assert.equal(queue.post("verify-email", MESSAGE), false);
    assert.match(lines.join(""), /mail.failed/);
  });
});

function open(send: Mailer["send"], maxWaiting?: number) {
  const clock = manualClock(0);
  const tries: number[] = [];
  const lines: string[] = [];
  const destination = { write: (line: string) => void lines.push(line) };
  const queue = createMailQueue({
    mailer: {
      send(message, signal) {
        tries.push(clock.monotonicMs() / 1_000);
        return send(message, signal);
      },
      [Symbol.asyncDispose]: () => Promise.resolve(),
    },
    clock,
    logger: createLogger({ service: "identity", level: "info", destination }),
    ...(maxWaiting !== undefined && { maxWaiting }),
  });
  return { queue, clock, tries, lines };
}

const untilStopped = (signal: AbortSignal): Promise<void> =>
  new Promise((_resolve, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason as Error), { once: true });
  });

import assert from "node:assert/strict";
import { test } from "node:test";
import { createLogger } from "@tidegate/service-kit";
import { LiveFeed, type FeedSocket } from "./live-feed.ts";
import type { Change, TaskStore } from "./task-store.ts";

/** A log in memory that answers after a number of turns, as a store does. */
function memoryLog(turns: number) {
  const changes: Change[] = [];
  const wait = async (): Promise<void> => {
    for (let turn = 0; turn < turns; turn += 1) await Promise.resolve();
  };
  const store: Pick<TaskStore, "changesAfter" | "newestSequence"> = {
    async changesAfter(_person, sequence, limit) {
      await wait();
      return changes.slice(sequence, sequence + limit);
    },
    async newestSequence() {
      await wait();
      return changes.length;
    },
  };
  return {
    store: store as TaskStore,
    append: () => {
      const sequence = changes.length + 1;
      changes.push({ kind: "reordered", sequence, at: "2026-01-01T00:00:00.000Z" });
    },
  };
}

function memorySocket() {
  const sent: number[] = [];
  const socket: FeedSocket = {
    isOpen: true,
    onText: () => undefined,
    close: () => undefined,
    async send(messages) {
      for (const message of messages) {
        const { type, sequence } = JSON.parse(message) as { type: string; sequence: number };
        if (type === "tasks.reordered") sent.push(sequence);
      }
      return true;
    },
  };
  return { socket, sent };
}

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test("wake() is never lost, at whatever turn of a pump that is ending it comes", async () => {
  for (let turns = 0; turns < 4; turns += 1) {
    for (let delay = 0; delay < 60; delay += 1) {
      const log = memoryLog(turns);
      const { socket, sent } = memorySocket();
      const feed = new LiveFeed({
        socket,
        store: log.store,
        person: { source: "s", subject: "ada" },
        logger: createLogger({ service: "test", level: "silent" }),
        since: 0,
      });
      for (let turn = 0; turn < delay; turn += 1) await Promise.resolve();
      log.append();
      feed.wake();
      await settled();
      assert.deepEqual(sent, [1], `after ${delay} turns with a store of ${turns}`);
    }
  }
});

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { manualClock, type ManualClock } from "@tidegate/clock";
import * as fc from "fast-check";
import { KEPT_CHANGES, KEPT_CHANGES_MS } from "./change-log.ts";
import { KEPT_KEYS_MS } from "./idempotency.ts";
import type { Change, Person, TaskStore } from "./task-store.ts";
import { toContent, type Task } from "./task.ts";

const ada: Person = { source: "https://people.example/", subject: "ada" };
const grace: Person = { source: "https://people.example/", subject: "grace" };
const titled = (title: string): ReturnType<typeof toContent> => toContent({ title });
const START_MS = 1_800_000_000_000;

/** What every home of tasks must do. `told` counts how often the store said that a person's tasks changed. */
export function taskStoreContract(
  name: string,
  open: (options: {
    readonly clock: ManualClock;
    readonly maxTasksPerPerson: number;
    readonly told: (person: Person) => void;
  }) => Promise<{ readonly store: TaskStore } & AsyncDisposable>,
): void {
  const start = async (maxTasksPerPerson = 100) => {
    const told: Person[] = [];
    const clock = manualClock(START_MS);
    const opened = await open({ clock, maxTasksPerPerson, told: (person) => told.push(person) });
    return Object.assign(opened, { clock, told });
  };

  describe(`${name} as TaskStore`, () => {
    test("nothing is told, logged or changed when the judge refuses", async () => {
      await using home = await start();
      const { store, told } = home;
      const { task } = await store.create(ada, titled("a"));
      const refuse = (): never => {
        throw new Error("refused");
      };
      told.length = 0;
      await assert.rejects(store.update(ada, task.id, refuse), /refused/);
      await assert.rejects(store.remove(ada, task.id, refuse), /refused/);
      const move = { place: { to: "first" }, judge: refuse } as const;
      await assert.rejects(store.move(ada, task.id, move), /refused/);
      assert.deepEqual(await store.read(ada, task.id), task);
      assert.equal(await store.newestSequence(ada), 1);
      assert.deepEqual(told, []);
    });

    test("a person is the pair of source and subject", async () => {
      await using home = await start();
      const { task } = await home.store.create(ada, titled("a"));
      for (const other of [
        grace,
        { ...ada, source: "https://other.example/" },
        { source: "", subject: "ada" },
      ]) {
        await assert.rejects(home.store.read(other, task.id), { code: "task_not_found" });
        assert.equal(await home.store.newestSequence(other), 0);
        assert.deepEqual(await home.store.changesAfter(other, 0, 10), []);
        assert.equal(await home.store.changesAfter(other, 1, 10), undefined);
      }
    });

    test("the quota counts tasks that are, and deleting one makes room", async () => {
      await using home = await start(2);
      const { task } = await home.store.create(ada, titled("a"));
      await home.store.create(ada, titled("b"));
      await assert.rejects(home.store.create(ada, titled("c")), { code: "task_quota_exceeded" });
      await home.store.create(grace, titled("hers"));
      await home.store.remove(ada, task.id, () => undefined);
      await home.store.create(ada, titled("c"));
      await assert.rejects(home.store.create(ada, titled("d")), { code: "task_quota_exceeded" });
    });

    test("the log alone tells everything: replayed from any point it gives the tasks as they are", async () => {
      const step = fc.record({
        person: fc.constantFrom(ada, grace),
        what: fc.constantFrom("create", "update", "same", "remove", "move"),
        which: fc.nat(),
      });
      await fc.assert(
        fc.asyncProperty(fc.array(step, { maxLength: 40 }), fc.nat(), async (steps, cut) => {
          await using home = await start();
          const known = new Map([ada, grace].map((person) => [person, [] as string[]]));
          const snapshots: Task[][] = [await listAll(home.store, ada)];
          for (const { person, what, which } of steps) {
            await act(home.store, { person, ids: known.get(person) ?? [], what, which });
            const sequence = await home.store.newestSequence(ada);
            snapshots[sequence] = await listAll(home.store, ada);
          }
          const newest = await home.store.newestSequence(ada);
          const since = cut % (newest + 1);
          const changes: Change[] = [];
          for (let at = since; at < newest;) {
            const batch = (await home.store.changesAfter(ada, at, 3)) ?? [];
            assert.ok(batch.length > 0 && batch.length <= 3);
            changes.push(...batch);
            at = batch.at(-1)?.sequence ?? newest;
          }
          assert.deepEqual(
            changes.map((change) => change.sequence),
            Array.from({ length: newest - since }, (_, index) => since + 1 + index),
          );
          assert.deepEqual(replay(snapshots[since] ?? [], changes), await listAll(home.store, ada));
        }),
        { numRuns: 30 },
      );
    });

    test("hundreds of moves into one gap number the list anew, say so, and keep its order", async () => {
      await using home = await start();
      const ids: string[] = [];
      for (const title of ["a", "b", "c"])
        ids.push((await home.store.create(ada, titled(title))).task.id);
      const [anchor = "", ...pair] = ids;
      for (let count = 0; count < 420; count += 1) {
        const move = { place: { after: anchor }, judge: () => undefined };
        const { position } = await home.store.move(ada, pair[count % 2] ?? "", move);
        assert.ok(position.length <= 64);
      }
      const changes = await home.store.changesAfter(ada, 0, 1_000);
      assert.equal(changes?.filter((change) => change.kind === "reordered").length, 1);
      const tasks = await listAll(home.store, ada);
      assert.deepEqual(
        tasks.map((task) => task.title),
        ["a", "c", "b"],
      );
    });

    test("a move to where it is already changes nothing", async () => {
      await using home = await start();
      const ids: string[] = [];
      for (const title of ["a", "b", "c"])
        ids.push((await home.store.create(ada, titled(title))).task.id);
      const [a = "", b = "", c = ""] = ids;
      const before = await listAll(home.store, ada);
      for (const [id, place] of [
        [a, { to: "first" }],
        [c, { to: "last" }],
        [b, { before: c }],
        [b, { after: a }],
        [b, { before: b }],
      ] as const) {
        await home.store.move(ada, id, { place, judge: () => undefined });
      }
      assert.deepEqual(await listAll(home.store, ada), before);
      assert.equal(await home.store.newestSequence(ada), 3);
    });

    test("changes at the same time each get a sequence of their own", async () => {
      await using home = await start();
      await Promise.all(
        Array.from({ length: 50 }, (_, index) => home.store.create(ada, titled(`${index}`))),
      );
      const changes = await home.store.changesAfter(ada, 0, 100);
      assert.deepEqual(
        changes?.map((change) => change.sequence),
        Array.from({ length: 50 }, (_, index) => index + 1),
      );
      assert.equal(home.told.length, 50);
      const positions = (await listAll(home.store, ada)).map((task) => task.position);
      assert.equal(new Set(positions).size, 50);
    });

    test("sweep() forgets changes after thirty days and keys after one, and nothing younger", async () => {
      await using home = await start();
      const { store, clock } = home;
      const { task } = await store.create(ada, titled("a"), "key");
      clock.advance(KEPT_KEYS_MS - 1);
      assert.equal((await store.create(ada, titled("a"), "key")).isReplay, true);
      assert.equal(await store.sweep(), 0);
      clock.advance(1);
      assert.equal(await store.sweep(), 1);
      clock.advance(KEPT_CHANGES_MS - KEPT_KEYS_MS);
      await store.create(ada, titled("b"));
      assert.equal(await store.sweep(), 0);
      assert.equal((await store.changesAfter(ada, 0, 10))?.length, 2);
      clock.advance(1);
      assert.equal(await store.sweep(), 1);
      assert.equal(await store.sweep(), 0);
      assert.equal(await store.changesAfter(ada, 0, 10), undefined);
      assert.equal((await store.changesAfter(ada, 1, 10))?.length, 1);
      assert.deepEqual((await store.read(ada, task.id)).title, "a");
    });

    test("a log too long in bytes loses its older half, never its newest change", async () => {
      await using home = await start();
      const content = toContent({ title: "a", notes: "\u{1F30A}".repeat(10_000) });
      const { task } = await home.store.create(ada, content);
      for (let count = 0; count < 450; count += 1) {
        await home.store.update(ada, task.id, () => ({ ...content, title: `${count}` }));
      }
      const newest = await home.store.newestSequence(ada);
      assert.equal(newest, 451);
      assert.equal(await home.store.changesAfter(ada, 0, 1), undefined);
      assert.equal((await home.store.changesAfter(ada, newest - 1, 1))?.length, 1);
      assert.ok(newest < KEPT_CHANGES);
    });
  });
}

async function listAll(store: TaskStore, person: Person): Promise<Task[]> {
  return [...(await store.list(person, { limit: 100 })).items];
}

async function act(
  store: TaskStore,
  step: { person: Person; ids: string[]; what: string; which: number },
): Promise<void> {
  const { person, ids, what, which } = step;
  const id = ids[which % Math.max(1, ids.length)];
  if (what === "create" || id === undefined) {
    ids.push((await store.create(person, titled(`${which}`))).task.id);
  } else if (what === "update") {
    await store.update(person, id, (task) =>
      toContent({ ...task, tags: [], title: `${which}`, status: "done" }),
    );
  } else if (what === "same") {
    await store.update(person, id, (task) => toContent({ ...task, tags: [...task.tags] }));
  } else if (what === "move") {
    const place = which % 2 === 0 ? ({ to: "first" } as const) : { after: ids[0] ?? "" };
    await store.move(person, id, { place, judge: () => undefined });
  } else {
    await store.remove(person, id, () => undefined);
    ids.splice(ids.indexOf(id), 1);
  }
}

/** What a client of the feed does with what it hears. */
function replay(tasks: readonly Task[], changes: readonly Change[]): Task[] {
  const byId = new Map(tasks.map((task) => [task.id, task]));
  for (const change of changes) {
    if (change.kind === "deleted") byId.delete(change.id);
    else if (change.kind !== "reordered") byId.set(change.task.id, change.task);
  }
  return [...byId.values()].sort((a, b) => (a.position < b.position ? -1 : 1));
}

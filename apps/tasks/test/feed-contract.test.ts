import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { describe, test } from "node:test";
import { createStrictAjv, type Json } from "@tidegate/service-kit";
import { feedClient } from "./feed-client.ts";
import { tasksUnderTest } from "./tasks-under-test.ts";

interface Document {
  readonly asyncapi: string;
  readonly channels: { readonly live: { readonly address: string; readonly messages: Json } };
  readonly operations: Record<
    string,
    { readonly action: string; readonly messages: { readonly $ref: string }[] }
  >;
  readonly components: { readonly messages: Record<string, { readonly payload: Json }> };
}

describe("the AsyncAPI document", () => {
  test("describes every message that is really sent, and every one it describes is sent", async () => {
    await using tasks = await tasksUnderTest();
    const document: Document = (await tasks.call("ada", "GET /tasks/asyncapi.json")).body;
    assert.equal(document.asyncapi, "3.0.0");
    assert.equal(document.channels.live.address, "/tasks/live");
    const { messages } = document.components;
    const ajv = createStrictAjv();
    const validators = new Map(
      Object.entries(messages).map(([name, { payload }]) => [name, ajv.compile(payload)]),
    );
    const named = (action: string): string[] =>
      Object.values(document.operations)
        .filter((operation) => operation.action === action)
        .flatMap((operation) =>
          operation.messages.map((message) => message.$ref.split("/").at(-1) ?? ""),
        );
    assert.deepEqual(
      new Set([...named("send"), ...named("receive")]),
      new Set(Object.keys(messages)),
    );
    assert.deepEqual(Object.keys(document.channels.live.messages), Object.keys(messages));

    using ahead = await feedClient(tasks, "ada", "?since=9");
    using feed = await feedClient(tasks, "ada");
    await feed.heard(1);
    const ids: string[] = [];
    for (const title of ["a", "b", "c"]) ids.push((await tasks.create("ada", { title })).task.id);
    {
      // Written behind the service's back: two neighbours with no room between them, as after hundreds of moves.
      using database = new DatabaseSync(tasks.databaseFile);
      const set = database.prepare("update tasks set position = ? where id = ?");
      set.run("V", ids[0] ?? "");
      set.run(`V${"0".repeat(62)}1`, ids[1] ?? "");
    }
    await tasks.call("ada", `POST /tasks/${ids[2]}/move`, { body: { after: ids[0] } });
    await tasks.call("ada", `DELETE /tasks/${ids[0]}`, { headers: { "if-match": "*" } });
    // Each message that a client may send is accepted as documented: it is answered, and the feed goes on.
    const examples: Record<string, object> = {
      ping: { type: "ping" },
      "feed.resume": { type: "feed.resume", since: 0 },
    };
    assert.deepEqual(new Set(Object.keys(examples)), new Set(named("receive")));
    for (const [name, example] of Object.entries(examples)) {
      assert.ok(validators.get(name)?.(example));
      const before = feed.messages.length;
      feed.socket.send(JSON.stringify(example));
      await feed.heard(before + 1);
    }
    await ahead.heard(2);

    const heard = [...feed.messages, ...ahead.messages];
    for (const message of heard) {
      const isValid = validators.get(message.type);
      assert.ok(
        isValid?.(message),
        `${JSON.stringify(message)} ${JSON.stringify(isValid?.errors)}`,
      );
    }
    assert.deepEqual(new Set(heard.map((message) => message.type)), new Set(named("send")));
  });
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { missingProgram } from "./missing-program.ts";
import { rawConnection } from "./raw-connection.ts";
import { startRedis } from "./redis.ts";

test(
  "startRedis() answers, and is gone after its scope",
  { skip: missingProgram("redis-server") },
  async () => {
    let port = 0;
    {
      await using redis = await startRedis();
      port = redis.port;
      await using client = await rawConnection(port);
      await client.write("PING\r\n");
      assert.equal((await client.readUntil("\r\n")).toString(), "+PONG\r\n");
    }
    await assert.rejects(rawConnection(port), { code: "ECONNREFUSED" });
  },
);

import assert from "node:assert/strict";
import { test } from "node:test";
import { limitName } from "./limit-name.ts";

test("limitName() tells limits apart and stays within a name's length", () => {
  const window = { kind: "window", limit: 5, seconds: 0.5, per: "user", cost: "byte" } as const;
  assert.equal(limitName(window), "user-bytes-5-in-0p5s");
  assert.equal(limitName({ ...window, name: "pay" }), "pay");
  const longest = {
    kind: "bucket",
    rate: { count: 2_147_483_647, seconds: 31_622_399.123456 },
    burst: 2_147_483_647,
    per: "connection",
    cost: "byte",
    class: "message",
    from: "upstream",
  } as const;
  const name = limitName(longest);
  assert.match(name, /^[a-z][a-z0-9-]{0,62}$/);
  assert.notEqual(name, limitName({ ...longest, burst: 2_147_483_646 }));
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { systemRandom, type Random } from "@tidegate/clock";
import { createIdentifiers } from "./identifiers.ts";
import { chooseRequestId } from "./request-id.ts";

const ids = createIdentifiers(systemRandom);

test("chooseRequestId() takes nothing from a peer that is not trusted", () => {
  const chosen = chooseRequestId({ offered: "order-4711-abc", isTrustedPeer: false }, ids);
  assert.match(chosen, /^[0-9a-f]{32}$/);
});

test("chooseRequestId() takes only a short safe token from a trusted peer", () => {
  const hostile = [
    "",
    "short",
    "a".repeat(65),
    "abc defgh",
    "abcdefgh\n",
    "../../etc",
    "<script>x",
    "-leading-dash",
  ];
  for (const offered of hostile) {
    assert.match(chooseRequestId({ offered, isTrustedPeer: true }, ids), /^[0-9a-f]{32}$/, offered);
  }
  const offered = "order-4711_abc.1";
  assert.equal(chooseRequestId({ offered, isTrustedPeer: true }, ids), offered);
});

test("long() and short() never repeat and are never all zero", () => {
  const seen = new Set<string>();
  for (let count = 0; count < 5_000; count += 1) {
    seen.add(ids.long());
    seen.add(ids.short());
  }
  assert.equal(seen.size, 10_000);
  let pools = 0;
  const zeroFirst: Random = {
    unit: () => 0,
    bytes: (count) => Buffer.alloc(count, pools++ === 0 ? 0 : 7),
  };
  assert.equal(createIdentifiers(zeroFirst).short(), "07".repeat(8));
});

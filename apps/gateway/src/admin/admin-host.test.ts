import assert from "node:assert/strict";
import { test } from "node:test";
import { createHostCheck } from "./admin-host.ts";

test("the host check refuses every name that a rebinding page could have", () => {
  const isOurs = createHostCheck("127.0.0.1");
  const foreign = [
    "",
    "evil.example",
    "evil.example:9090",
    "localhost.evil.example",
    "127.0.0.1.evil.example",
    "127.0.0.1.nip.io:9090",
    "localhost@evil.example",
    "evil.example#localhost",
    "localhost/",
    "localhost:9090:80",
    "localhost:",
    "[::1",
    "::1",
    "[::1%lo]",
    "[::2]",
    "0.0.0.0",
    "2130706433",
    "127.1",
    " localhost",
    "localhost.",
  ];
  for (const host of foreign) assert.equal(isOurs(host), false, host);
});

test("the host check takes the loopback names and the configured one, with any port", () => {
  const isOurs = createHostCheck("admin.internal");
  const ours = ["localhost", "LOCALHOST:9090", "127.0.0.1:1", "[::1]:9090", "admin.internal:9090"];
  for (const host of ours) assert.equal(isOurs(host), true, host);
  assert.equal(createHostCheck("127.0.0.1")("admin.internal"), false);
  assert.equal(createHostCheck("0.0.0.0")("0.0.0.0"), false);
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { showValue } from "./show-value.ts";

test("showValue() hides what could be a secret and shortens the rest", () => {
  assert.equal(
    showValue("http://ada:hunter2@h/x?token=1", ["a"]),
    '"http://[secret]@h/x?[hidden]"',
  );
  assert.equal(showValue("hunter2", ["identity", "x", "clientSecret"]), "[secret]");
  assert.equal(showValue({ hunter2: 1 }, ["a"]), undefined);
  assert.equal(showValue(["hunter2"], ["a"]), "a list of 1");
  const long = showValue("x".repeat(1_000), ["a"]) ?? "";
  assert.ok(long.length < 70);
});

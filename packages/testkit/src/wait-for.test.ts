import assert from "node:assert/strict";
import { test } from "node:test";
import { waitFor } from "./wait-for.ts";

test("waitFor() returns the first truthy answer and asks no further", async () => {
  let asked = 0;
  const value = await waitFor(() => (++asked === 3 ? "third" : undefined), {
    what: "a third call",
  });
  assert.equal(value, "third");
  assert.equal(asked, 3);
});

test("waitFor() takes a throwing condition as not yet and names the last error at the deadline", async () => {
  await assert.rejects(
    waitFor(() => assert.equal(1, 2), { what: "the impossible", deadlineMs: 20 }),
    (error: Error) =>
      error.message === "Waited 20 ms for the impossible" &&
      error.cause instanceof assert.AssertionError,
  );
});

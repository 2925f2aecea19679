import assert from "node:assert/strict";
import { test } from "node:test";
import { search } from "./redis-lease-model.ts";

for (const kind of ["window", "bucket"] as const) {
  test(`no run admits too much, without dropping what seems to have no effect (${kind})`, (context) => {
    const model = { kind, mutant: "none", losesData: false, span: 3 } as const;
    const { states, violation, isComplete } = search(model, 2_000_000, true);
    context.diagnostic(`${states} states, all of them`);
    assert.equal(violation, undefined);
    assert.ok(isComplete, `stopped after ${states} states`);
  });
}

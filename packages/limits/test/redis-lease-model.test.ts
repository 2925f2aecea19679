import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { MUTANTS, search, type Model, type Mutant } from "./redis-lease-model.ts";

// Every interleaving of a small configuration, to the end. The paper argument covers all sizes; this covers its rules.

const MOST_STATES = 400_000;

describe("the lease protocol, every run of two nodes and two units", () => {
  for (const kind of ["window", "bucket"] as const) {
    for (const losesData of [false, true]) {
      const what = `${kind}${losesData ? ", data lost at any time" : ""}`;
      test(`never admits more than the limit (${what})`, (context) => {
        const { states, violation, isComplete } = search(
          { kind, mutant: "none", losesData, span: 3 },
          MOST_STATES,
        );
        context.diagnostic(`${states} states, all of them`);
        assert.deepEqual(violation, undefined);
        assert.ok(isComplete, `stopped after ${states} states`);
        assert.ok(states > 10_000, `only ${states} states: the model does not move`);
      });
    }
  }

  const mutants = Object.entries(MUTANTS) as [Mutant, readonly Model["kind"][]][];
  for (const [mutant, kinds] of mutants) {
    for (const kind of kinds) {
      test(`is broken by the mutant ${mutant} (${kind})`, (context) => {
        const losesData = mutant.startsWith("loss");
        const { states, violation } = search({ kind, mutant, losesData, span: 3 }, MOST_STATES);
        assert.ok(violation !== undefined, `not found in ${states} states`);
        context.diagnostic(`${states} states: ${violation.join(", ")}`);
      });
    }
  }
});

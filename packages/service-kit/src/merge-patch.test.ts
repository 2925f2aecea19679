import assert from "node:assert/strict";
import { describe, test } from "node:test";
import * as fc from "fast-check";
import { mergePatch } from "./merge-patch.ts";

// RFC 7396, Appendix A: original, patch, result.
const APPENDIX: readonly [string, string, string][] = [
  ['{"a":"b"}', '{"a":"c"}', '{"a":"c"}'],
  ['{"a":"b"}', '{"b":"c"}', '{"a":"b","b":"c"}'],
  ['{"a":"b"}', '{"a":null}', "{}"],
  ['{"a":"b","b":"c"}', '{"a":null}', '{"b":"c"}'],
  ['{"a":["b"]}', '{"a":"c"}', '{"a":"c"}'],
  ['{"a":"c"}', '{"a":["b"]}', '{"a":["b"]}'],
  ['{"a":{"b":"c"}}', '{"a":{"b":"d","c":null}}', '{"a":{"b":"d"}}'],
  ['{"a":[{"b":"c"}]}', '{"a":[1]}', '{"a":[1]}'],
  ['["a","b"]', '["c","d"]', '["c","d"]'],
  ['{"a":"b"}', '["c"]', '["c"]'],
  ['{"a":"foo"}', "null", "null"],
  ['{"a":"foo"}', '"bar"', '"bar"'],
  ['{"e":null}', '{"a":1}', '{"e":null,"a":1}'],
  ["[1,2]", '{"a":"b","c":null}', '{"a":"b"}'],
  ["{}", '{"a":{"bb":{"ccc":null}}}', '{"a":{"bb":{}}}'],
];

describe("mergePatch()", () => {
  for (const [original, patch, result] of APPENDIX) {
    test(`${original} patched by ${patch} is ${result}`, () => {
      assert.deepEqual(mergePatch(JSON.parse(original), JSON.parse(patch)), JSON.parse(result));
    });
  }

  test("__proto__ in a patch is a member, and changes no prototype", () => {
    const patch: unknown = JSON.parse('{"__proto__":{"isAdmin":true},"constructor":{"x":1}}');
    const result = mergePatch({ a: 1 }, patch);
    assert.equal(Object.getPrototypeOf(result), Object.prototype);
    assert.deepEqual(Object.keys(result as object).sort(), ["__proto__", "a", "constructor"]);
    assert.equal(({} as Record<string, unknown>)["isAdmin"], undefined);
  });

  test("a patch nested without end is refused, not run into the stack", () => {
    const deep: unknown = JSON.parse('{"a":'.repeat(50_000) + "1" + "}".repeat(50_000));
    assert.throws(() => mergePatch({}, deep), RangeError);
  });

  test("changes neither argument, and a patch twice is a patch once", () => {
    const json = fc.jsonValue({ maxDepth: 3 });
    fc.assert(
      fc.property(json, json, (target, patch) => {
        const before = JSON.stringify([target, patch]);
        const once = mergePatch(target, patch);
        assert.equal(JSON.stringify([target, patch]), before);
        assert.deepEqual(mergePatch(once, patch), once);
      }),
    );
  });
});

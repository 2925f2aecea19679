import assert from "node:assert/strict";
import { describe, test } from "node:test";
import * as fc from "fast-check";
import { ConfigError } from "./config-error.ts";
import { parseText } from "./text-source.ts";

const yaml = (text: string, environment = {}) =>
  parseText(text, { file: "a.yaml", language: "yaml", environment });
const json = (text: string) =>
  parseText(text, { file: "a.json", language: "json", environment: {} });

const refused = (read: () => unknown, reason: RegExp): void => {
  assert.throws(read, (error) => error instanceof ConfigError && reason.test(error.message));
};

describe("parseText()", () => {
  test("refuses a bomb of aliases without following it", () => {
    const nine = (name: string) => `[${Array.from({ length: 9 }, () => name).join(", ")}]`;
    const lines = Array.from({ length: 12 }, (_, level) =>
      level === 0 ? `a0: &a0 ${nine("x")}` : `a${level}: &a${level} ${nine(`*a${level - 1}`)}`,
    );
    refused(() => yaml(lines.join("\n")), /more than 100000 values/);
  });

  test("refuses an alias to the thing it stands in", () => {
    refused(() => yaml("a: &a [*a]"), /nested deeper than 32/);
    refused(() => yaml("&a { b: *a }"), /nested deeper than 32/);
  });

  test("refuses depth that would exhaust the stack, in both languages", () => {
    for (const open of ["[", "{a: ", "- "]) {
      refused(() => yaml(open.repeat(20_000)), /Cannot use a\.yaml: 1 mistake/);
    }
    refused(() => json(`${"[".repeat(40)}${"]".repeat(40)}`), /nested deeper than 32/);
    refused(() => json("[".repeat(50_000)), /is not valid JSON/);
  });

  test("names a key that stands twice, and one that would change what objects inherit", () => {
    const { value, mistakes } = yaml("a: 1\nb:\n  c: 1\n  c: 2\n__proto__: { d: 1 }");
    assert.deepEqual(
      mistakes.map(({ path, position }) => [path, position]),
      [
        [["b", "c"], { line: 4, column: 3 }],
        [["__proto__"], { line: 5, column: 1 }],
      ],
    );
    assert.deepEqual(value, { a: 1, b: { c: 1 } });
    assert.equal(Object.getPrototypeOf(value), Object.prototype);
  });

  test("refuses tags, which other readers turn into objects of their own", () => {
    refused(() => yaml("a: !!js/function 'x'"), /line 1, column 4/);
    refused(() => yaml("a: !!binary aGk="), /tag/);
  });

  test("never quotes the source in a syntax error", () => {
    for (const text of ['{"password": "hunter2" "x"}', "{'password': hunter2}", '{"a": hunter2}']) {
      assert.throws(
        () => json(text),
        (error) => {
          assert.ok(error instanceof ConfigError);
          assert.doesNotMatch(error.message, /hunter2/);
          return true;
        },
      );
    }
  });

  test("says where JSON ends to be JSON", () => {
    refused(() => json('{\n  "a": 1,\n}'), /line 3, column 1: the file\n  is not valid JSON/);
    refused(() => json('{\n  "a": 1 # note\n}'), /line 2, column 10: /);
    refused(() => json('{\n  "a": tru\n}'), /line 2, column 11: /);
    refused(() => json('{\n  "a": hunter2\n}'), /line 2, column 8: /);
    refused(() => json('{"a": 1} {"b": 2}'), /is not valid JSON/);
    refused(() => json(""), /line 1, column 1: /);
    assert.deepEqual(json('\u{feff}{"a": 1}').value, { a: 1 });
    refused(() => yaml("# nothing\n"), /is empty/);
  });

  test("reads out of JSON what JSON.parse does", () => {
    fc.assert(
      fc.property(
        fc.jsonValue({ depthSize: "small" }),
        fc.constantFrom(undefined, 2, "\t"),
        (value, indent) => {
          const text = JSON.stringify({ value }, null, indent);
          if (text.includes("${") || text.includes("__proto__")) return;
          assert.deepEqual(json(text).value, JSON.parse(text));
        },
      ),
      { numRuns: 200 },
    );
  });

  test("puts the environment into texts alone and remembers where it did", () => {
    const environment = { PORT: "81", EMPTY: "", EVIL: "${PORT}" };
    const source = yaml(
      "a: ${PORT}\nb: x-${EMPTY:-none}-${NONE:-}\nc: $${PORT}\nd: '${EVIL}'\n${PORT}: 1",
      environment,
    );
    assert.deepEqual(source.value, {
      a: "81",
      b: "x-none-",
      c: "${PORT}",
      d: "${PORT}",
      "${PORT}": 1,
    });
    assert.equal(source.writtenAs(["a"]), "${PORT}");
    assert.equal(source.writtenAs(["c"]), undefined);
    assert.deepEqual(source.mistakes, []);
  });

  test("names every variable that is missing, with its place", () => {
    const { mistakes } = yaml("a: ${NONE}\nb: [x, 'y${constructor}', '${', '${1}']");
    assert.deepEqual(
      mistakes.map(({ path, position }) => [path, position?.line, position?.column]),
      [
        [["a"], 1, 4],
        [["b", 1], 2, 8],
        [["b", 2], 2, 27],
        [["b", 3], 2, 33],
      ],
    );
    assert.match(mistakes[1]?.reason ?? "", /constructor/);
  });

  test("stays quick on many keys of one map", () => {
    const keys = Array.from({ length: 40_000 }, (_, index) => `k${index}: 1`).join("\n");
    const { value } = yaml(keys);
    assert.equal(Object.keys(value as object).length, 40_000);
  });
});

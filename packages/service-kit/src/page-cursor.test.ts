import assert from "node:assert/strict";
import { describe, test } from "node:test";
import * as fc from "fast-check";
import { createPageCursors } from "./page-cursor.ts";

const cursors = createPageCursors(Buffer.alloc(32, 1));

describe("page cursors", () => {
  test("open() refuses other scopes, other keys, and any changed character", () => {
    const other = createPageCursors(Buffer.alloc(32, 2));
    const cursor = cursors.seal("list of ada", ["V", 7]);
    assert.equal(cursors.open("list of grace", cursor), undefined);
    assert.equal(other.open("list of ada", cursor), undefined);
    fc.assert(
      fc.property(fc.nat(cursor.length - 1), fc.base64String({ minLength: 4 }), (at, text) => {
        const changed = cursor.slice(0, at) + (text[0] ?? "") + cursor.slice(at + 1);
        if (changed !== cursor) assert.equal(cursors.open("list of ada", changed), undefined);
      }),
    );
  });

  test("open() refuses what is no cursor, and other spellings of one", () => {
    const cursor = cursors.seal("s", [1]);
    for (const odd of [
      "",
      "A",
      "=",
      "%",
      "null",
      `${cursor}=`,
      `${cursor} `,
      ` ${cursor}`,
      `${cursor}A`,
    ]) {
      assert.equal(cursors.open("s", odd), undefined, odd);
    }
  });

  test("open() gives back what was sealed, and scope and place cannot be shifted into each other", () => {
    const place = fc.array(fc.oneof(fc.string({ unit: "grapheme" }), fc.integer()), {
      maxLength: 4,
    });
    fc.assert(
      fc.property(fc.string(), place, (scope, sealed) => {
        assert.deepEqual(cursors.open(scope, cursors.seal(scope, sealed)), sealed);
      }),
    );
    const cursor = cursors.seal("a", ["b"]);
    assert.equal(cursors.open('a["b"', cursor), undefined);
  });
});

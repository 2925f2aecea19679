import assert from "node:assert/strict";
import { describe, test } from "node:test";
import * as fc from "fast-check";
import { evenPositions, LONGEST_POSITION, positionBetween, type Position } from "./position.ts";

describe("positionBetween()", () => {
  test("is strictly between its neighbours, wherever one is put in", () => {
    fc.assert(
      fc.property(fc.array(fc.nat(), { maxLength: 200 }), (places) => {
        const list: Position[] = [];
        for (const place of places) {
          const index = place % (list.length + 1);
          const position = positionBetween(list[index - 1], list[index]);
          assert.match(position, /^[0-9A-Za-z]*[1-9A-Za-z]$/);
          list.splice(index, 0, position);
        }
        assert.deepEqual(list, list.toSorted());
        assert.equal(new Set(list).size, list.length);
      }),
    );
  });

  test("stays short at both ends", () => {
    let first = positionBetween(undefined, undefined);
    let last = first;
    for (let count = 0; count < 10_000; count += 1) {
      first = positionBetween(undefined, first);
      last = positionBetween(last, undefined);
    }
    assert.ok(first.length <= 7 && last.length <= 7, `${first} ${last}`);
  });

  test("takes hundreds of halvings of one gap before it is too long", () => {
    const low = positionBetween(undefined, undefined);
    let high = positionBetween(low, undefined);
    let count = 0;
    while (high.length <= LONGEST_POSITION) {
      high = positionBetween(low, high);
      count += 1;
    }
    assert.ok(count > 300, `${count}`);
  });

  test("refuses neighbours out of order", () => {
    assert.throws(() => positionBetween("V", "V"), RangeError);
    assert.throws(() => positionBetween("W", "V"), RangeError);
  });
});

test("evenPositions() rise, are short, and leave room at both ends", () => {
  const positions = evenPositions(10_000);
  assert.deepEqual(positions, positions.toSorted());
  assert.equal(new Set(positions).size, 10_000);
  assert.ok(positions.every((position) => position.length <= 7));
  assert.ok(positionBetween(undefined, positions[0]) < (positions[0] ?? ""));
});

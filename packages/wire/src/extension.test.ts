import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { formatExtensions, parseExtensions, type Extension } from "./extension.ts";
import { isDeflateAnswer, isDeflateOffer } from "./permessage-deflate.ts";

const one = (value: string): Extension => {
  const parsed = parseExtensions(value);
  assert.ok(parsed !== undefined && parsed.length === 1, value);
  return parsed[0]!;
};

describe("parseExtensions()", () => {
  test("refuses what is outside the grammar, doubled or long", () => {
    for (const value of [
      "",
      ",",
      "a,",
      "a;",
      "a;=1",
      "a; b=",
      'a; b="',
      'a; b="c d"',
      "a b",
      "a; b; b=1",
      "a\u00e9",
      Array.from({ length: 17 }, () => "x").join(","),
    ]) {
      assert.equal(parseExtensions(value), undefined, JSON.stringify(value));
    }
  });

  test("reads what browsers send and writes it back", () => {
    const value = "permessage-deflate; client_max_window_bits, x-other; a=1; b";
    const parsed = parseExtensions(value);
    assert.equal(formatExtensions(parsed!), value);
    assert.equal(
      one('permessage-deflate;server_max_window_bits="10"').parameters.get(
        "server_max_window_bits",
      ),
      "10",
    );
  });
});

describe("isDeflateOffer()", () => {
  test("refuses unknown parameters and values outside RFC 7692", () => {
    for (const value of [
      "deflate-frame",
      "permessage-deflate; unknown",
      "permessage-deflate; server_max_window_bits",
      "permessage-deflate; server_max_window_bits=7",
      "permessage-deflate; server_max_window_bits=16",
      "permessage-deflate; server_max_window_bits=08",
      "permessage-deflate; server_no_context_takeover=1",
    ]) {
      assert.equal(isDeflateOffer(one(value)), false, value);
    }
  });
});

describe("isDeflateAnswer()", () => {
  const offers = (value: string) => parseExtensions(value)!;

  test("refuses an answer that no offer allows", () => {
    for (const [answer, offered] of [
      ["permessage-deflate", "x-webkit-deflate-frame"],
      ["x-webkit-deflate-frame", "x-webkit-deflate-frame"],
      ["permessage-deflate; client_max_window_bits=10", "permessage-deflate"],
      ["permessage-deflate; client_max_window_bits", "permessage-deflate; client_max_window_bits"],
      [
        "permessage-deflate; client_max_window_bits=12",
        "permessage-deflate; client_max_window_bits=10",
      ],
      ["permessage-deflate", "permessage-deflate; server_max_window_bits=10"],
      [
        "permessage-deflate; server_max_window_bits=11",
        "permessage-deflate; server_max_window_bits=10",
      ],
      ["permessage-deflate", "permessage-deflate; server_no_context_takeover"],
    ] as const) {
      assert.equal(isDeflateAnswer(one(answer), offers(offered)), false, `${answer} | ${offered}`);
    }
  });

  test("takes an answer that any one offer allows", () => {
    const offered = offers(
      "permessage-deflate; server_max_window_bits=10, permessage-deflate; client_max_window_bits",
    );
    assert.equal(
      isDeflateAnswer(one("permessage-deflate; client_max_window_bits=9"), offered),
      true,
    );
    assert.equal(isDeflateAnswer(one("permessage-deflate"), offered), true);
    assert.equal(
      isDeflateAnswer(
        one("permessage-deflate; server_no_context_takeover; client_no_context_takeover"),
        offered,
      ),
      true,
    );
  });
});

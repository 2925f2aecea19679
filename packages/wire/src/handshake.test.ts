import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { isWebSocketKey, parseSubprotocols, toAcceptValue } from "./handshake.ts";

test("toAcceptValue() gives the example of RFC 6455 §1.3", () => {
  assert.equal(toAcceptValue("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
});

describe("isWebSocketKey()", () => {
  test("refuses whatever is not exactly 16 bytes in base64", () => {
    for (const key of [
      "",
      "dGhlIHNhbXBsZSBub25jZQ",
      "dGhlIHNhbXBsZSBub25jZR==",
      "dGhlIHNhbXBsZSBub25jZQ==\n",
      " dGhlIHNhbXBsZSBub25jZQ==",
      "dGhlIHNhbXBsZSBub25jZT0=",
      "dGhlIHNhbXBsZSBub25jZSBsb25nZXI=",
      "dGhlIHNhbXBsZSBub25j-_==",
    ]) {
      assert.equal(isWebSocketKey(key), false, JSON.stringify(key));
    }
  });

  test("takes 16 bytes of any value", () => {
    assert.equal(isWebSocketKey(Buffer.alloc(16, 0xff).toString("base64")), true);
    assert.equal(isWebSocketKey(Buffer.alloc(16).toString("base64")), true);
  });
});

describe("parseSubprotocols()", () => {
  test("refuses empty elements, non-tokens, repetitions and long lists", () => {
    for (const value of ["", "a,,b", "a b", "a;b", "a, a", "a\r\nx", "a, "]) {
      assert.equal(parseSubprotocols(value), undefined, JSON.stringify(value));
    }
    const many = Array.from({ length: 33 }, (_, at) => `p${at}`).join(",");
    assert.equal(parseSubprotocols(many), undefined);
  });

  test("keeps the order and the case", () => {
    assert.deepEqual(parseSubprotocols("mqtt,\tChat.v2 , graphql-ws"), [
      "mqtt",
      "Chat.v2",
      "graphql-ws",
    ]);
  });
});

import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { encode } from "../test/tokens.ts";
import { MAX_TOKEN_LENGTH, parseToken } from "./token-shape.ts";

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
const objects = fc.dictionary(fc.string(), fc.jsonValue());
const tokens = fc
  .tuple(objects, objects, fc.uint8Array({ minLength: 1, maxLength: 80 }))
  .map(
    ([header, payload, signature]) =>
      `${encode(header)}.${encode(payload)}.${Buffer.from(signature).toString("base64url")}`,
  );

test("parseToken() reads what was written, and nothing but the one text that was written", () => {
  fc.assert(
    fc.property(objects, objects, (header, payload) => {
      const parts = parseToken(`${encode(header)}.${encode(payload)}.AA`);
      assert.deepEqual(parts?.header, JSON.parse(JSON.stringify(header)));
      assert.deepEqual(parts?.payload, JSON.parse(JSON.stringify(payload)));
    }),
  );
});

test("parseToken() refuses every other text that decodes to the same bytes", () => {
  fc.assert(
    fc.property(tokens, fc.nat({ max: 2 }), fc.nat({ max: 63 }), (token, part, character) => {
      const parts = token.split(".");
      const original = parts[part] ?? "";
      const variant = original.slice(0, -1) + (ALPHABET[character] ?? "");
      fc.pre(variant !== original);
      fc.pre(Buffer.from(variant, "base64url").equals(Buffer.from(original, "base64url")));
      parts[part] = variant;
      assert.equal(parseToken(parts.join(".")), undefined);
    }),
  );
});

test("parseToken() takes one of the sixteen spellings of a signature's last character", () => {
  const prefix = `${encode({ alg: "ES256" })}.${encode({ sub: "ada" })}.`;
  const body = Buffer.alloc(64, 7).toString("base64url").slice(0, -1); // 86 characters: 4 unused bits
  const accepted = ALPHABET.split("").filter(
    (last) => parseToken(prefix + body + last) !== undefined,
  );
  assert.equal(accepted.length, 4);
  const sameBytes = (last: string) =>
    Buffer.from(body + last, "base64url").equals(Buffer.alloc(64, 7));
  assert.equal(ALPHABET.split("").filter(sameBytes).length, 16);
  assert.equal(accepted.filter(sameBytes).length, 1);
});

test("parseToken() refuses padding, white space, other alphabets, wrong part counts and over-long texts", () => {
  const good = `${encode({ alg: "ES256" })}.${encode({ sub: "ada" })}.AAAA`;
  assert.ok(parseToken(good));
  const [header = "", payload = "", signature = ""] = good.split(".");
  const hostile = [
    "",
    ".",
    "..",
    `${good}=`,
    `${good}==`,
    `${good}\n`,
    ` ${good}`,
    `${good} `,
    good.replace(".", " ."),
    `${header}.${payload}.AA AA`,
    `${header}.${payload}.AA+/`,
    `${header}.${payload}.A`,
    `${header}.${payload}.`,
    `${header}..${signature}`,
    `.${payload}.${signature}`,
    `${header}.${payload}`,
    `${good}.${signature}`,
    `${good}.${signature}.${signature}`,
    `${header}.${encode(["sub"])}.${signature}`,
    `${header}.${encode("sub")}.${signature}`,
    `${header}.${encode(null)}.${signature}`,
    `${header}.${Buffer.from("{").toString("base64url")}.${signature}`,
    `${header}.${Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]).toString("base64url")}.${signature}`,
    `${header}.${Buffer.from("\ufeff{}").toString("base64url")}.${signature}`,
    `${header}.${encode({ pad: "x".repeat(MAX_TOKEN_LENGTH) })}.${signature}`,
  ];
  for (const text of hostile) assert.equal(parseToken(text), undefined, JSON.stringify(text));
});

test("parseToken() never throws, whatever the text", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (text) => {
      assert.doesNotThrow(() => parseToken(text));
    }),
  );
});

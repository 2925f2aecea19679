import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { html, type Html } from "./html.ts";

/** By another name, because the formatter mends what is written behind `html`. */
const raw = html;

/** What a browser makes of our escapes. */
const unescape = (text: string): string =>
  text
    .replaceAll("&lt;", "<")
    .replaceAll("&gt;", ">")
    .replaceAll("&quot;", '"')
    .replaceAll("&#39;", "'")
    .replaceAll("&amp;", "&");

const anyText = fc.oneof(
  fc.string({ unit: "binary" }),
  fc.string({
    unit: fc.constantFrom(
      "<",
      ">",
      '"',
      "'",
      "&",
      "/",
      "=",
      "`",
      "!",
      "-",
      "\0",
      "\r",
      "\uD800",
      "\uFFFF",
      "a",
      " ",
    ),
  }),
  fc.constantFrom(
    "</p><script>alert(1)</script>",
    `" onfocus="alert(1)`,
    "&lt;",
    "&#60;",
    "<!--",
    "]]>",
  ),
);

describe("html", () => {
  test("no text leaves its place, between tags or in an attribute, and none but the unwritable changes", () => {
    fc.assert(
      fc.property(anyText, anyText, (first, second) => {
        const text = html`<p title="${first}">${second}</p>`.toString();
        const [, attribute, content] = /^<p title="([^"<>']*)">([^<>"']*)<\/p>$/.exec(text) ?? [];
        assert.ok(attribute !== undefined && content !== undefined, text);
        for (const [given, shown] of [
          [first, unescape(attribute)],
          [second, unescape(content)],
        ] as const) {
          const characters = Array.from(given);
          assert.equal(Array.from(shown).length, characters.length);
          const differing = Array.from(shown).filter((one, at) => one !== characters[at]);
          assert.ok(
            differing.every((character) => character === "\uFFFD"),
            "only U+FFFD is put in",
          );
        }
      }),
      { numRuns: 2_000 },
    );
  });

  test("ordinary text, emoji and other scripts are shown as they are", () => {
    for (const text of ["Ada", "Ǎda Łovelace", "愛達", "🧑‍💻", "a\tb\nc"]) {
      assert.equal(html`${text}`.toString(), text);
    }
  });

  test("lists, numbers, markup and nothing", () => {
    const rows = [1, 2].map((row) => raw`<li>${row}</li>`);
    assert.equal(
      raw`<ul>${rows}${undefined}${false}</ul>`.toString(),
      "<ul><li>1</li><li>2</li></ul>",
    );
  });

  test("refuses every place where escaping cannot help", () => {
    const value = "x";
    const bad: (() => Html)[] = [
      () => raw`<p title=${value}>`,
      () => raw`<p title='${value}'></p>`,
      () => raw`<p ${value}></p>`,
      () => raw`<p title="a"${raw`b`}></p>`,
      () => raw`<${value}>`,
      () => raw`<p on${value}="">`,
      () => raw`<p onclick="${value}"></p>`,
      () => raw`<p style="${value}"></p>`,
      () => raw`<iframe srcdoc="${value}"></iframe>`,
      () => raw`<script>${value}</script>`,
      () => raw`<style>${value}</style>`,
      () => raw`<!-- ${value} -->`,
      () => raw`<p title="${raw`<b></b>`}"></p>`,
      () => raw`<p title="${value}`,
    ];
    for (const [index, make] of bad.entries()) {
      assert.throws(make, assert.AssertionError, `case ${index}`);
    }
  });

  test("an address is a path of ours or http(s), whatever is put there", () => {
    for (const good of [
      "/account",
      "/a?b=c&d",
      "https://a.example/",
      "http://localhost:8080/",
      "#x",
      "",
    ]) {
      assert.doesNotThrow(() => html`<a href="${good}">x</a>`);
    }
    for (const bad of [
      "javascript:alert(1)",
      " javascript:alert(1)",
      "JAVASCRIPT:x",
      "data:text/html,x",
      "//evil.example",
      "/\\evil.example",
      "evil",
    ]) {
      assert.throws(() => html`<a href="${bad}">x</a>`, assert.AssertionError, bad);
      assert.throws(() => html`<form action="${bad}"></form>`, assert.AssertionError, bad);
    }
  });
});

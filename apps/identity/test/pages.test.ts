import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { pageGallery } from "./page-gallery.ts";

/** Tags with the names of their attributes, in order: what a page is made of. */
const shapeOf = (page: string): string[] =>
  [...page.matchAll(/<(\/?[a-z0-9]+)((?:\s+[a-z-]+(?:="[^"]*")?)*)\s*\/?>/gi)].map(
    ([, tag, attributes = ""]) =>
      [tag, ...[...attributes.matchAll(/([a-z-]+)(?:="[^"]*")?/gi)].map(([, name]) => name)].join(
        " ",
      ),
  );

describe("pages", () => {
  test("hostile texts in every place change no page's markup", () => {
    const ordinary = pageGallery();
    const attacks = [
      `"><script>alert(1)</script>`,
      `'"><img src=x onerror=alert(1)>`,
      "</title></main><form action=//evil.example>",
      `" autofocus onfocus="alert(1)`,
      "\0<\uD800\u202E&#60;script&#62;",
      "{{7*7}}${7*7}",
    ];
    for (const attack of attacks) {
      const hostile = pageGallery((text) => attack + text);
      for (const [name, page] of Object.entries(ordinary)) {
        assert.deepEqual(
          shapeOf(hostile[name as keyof typeof hostile]),
          shapeOf(page),
          `${name}: ${attack}`,
        );
      }
    }
    assert.ok(shapeOf(ordinary["sign-in"]).length > 20, "the shapes are not empty");
  });

  test("no page has a script, an inline style, a handler, a frame or anything of another site", () => {
    for (const [name, page] of Object.entries(pageGallery())) {
      assert.doesNotMatch(page, /<script|<style|<iframe|<object|\sstyle=|\son[a-z]+=/i, name);
      const addresses = [...page.matchAll(/(?:href|src|action)="([^"]*)"/g)].map(
        ([, address]) => address!,
      );
      for (const address of addresses)
        assert.match(address, /^\/|^http:\/\/localhost:8080\/$/, name);
    }
  });

  test("password fields are empty and say which password they are", () => {
    for (const [name, page] of Object.entries(pageGallery())) {
      for (const [input] of page.matchAll(/<input[^>]*type="password"[^>]*>/g)) {
        assert.match(input, /value=""/, name);
        assert.match(input, /autocomplete="(?:current|new)-password"/, name);
        assert.doesNotMatch(input, /maxlength/, "a pasted password must not be cut");
      }
    }
  });

  test("every form posts, and carries its token", () => {
    for (const [name, page] of Object.entries(pageGallery())) {
      for (const [form] of page.matchAll(/<form.*?<\/form>/gs)) {
        assert.match(form, /^<form method="post"/, name);
        if (name !== "sign-out") assert.match(form, /name="formToken"/, name);
      }
    }
  });

  test("the sign-in page offers other ways only where there are some", () => {
    const pages = pageGallery();
    assert.doesNotMatch(pages["sign-in"], /class="or"/);
    assert.match(pages["sign-in-ways"], /class="or"/);
  });
});

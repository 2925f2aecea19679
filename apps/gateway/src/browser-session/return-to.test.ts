import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { toReturnPath } from "./return-to.ts";

const PIECES = [
  "/",
  "\\",
  ".",
  "..",
  "%2f",
  "%5c",
  "\t",
  "\r\n",
  "@",
  ":",
  "?",
  "#",
  "http:",
  "attacker.example",
  "a",
  " ",
  "é",
  "%00",
];
const PUBLIC = "https://app.example";

test("toReturnPath() takes nothing that a browser could read as another site", () => {
  const hostile = [
    "https://attacker.example/",
    "//attacker.example",
    "///attacker.example",
    "/\\attacker.example",
    "\\\\attacker.example",
    "/\t/attacker.example",
    "/\n/attacker.example",
    "/\u0000/attacker.example",
    "\t//attacker.example",
    " //attacker.example",
    "/.//attacker.example",
    "/..//attacker.example",
    "/x/..//attacker.example",
    "/x/../..//attacker.example",
    "/%2e//attacker.example",
    "/%2E%2e//attacker.example",
    "javascript:alert(1)",
    "data:text/html,x",
    "http:attacker.example",
    "https:/attacker.example",
    "@attacker.example",
    ".attacker.example",
    "attacker.example",
    "?x",
    "#x",
    "",
    "/a//b",
    "/a b",
    "/ä",
    "/\u2028",
    "/\u202e",
    `/${"a".repeat(600)}`,
  ];
  for (const text of hostile) assert.equal(toReturnPath(text, PUBLIC), "/", JSON.stringify(text));
  assert.equal(toReturnPath(null, PUBLIC), "/");
});

test("toReturnPath() does not lead back into the gateway's own endpoints", () => {
  for (const text of [
    "/.tidegate/sign-in",
    "/.tidegate/step-up?maxAge=0",
    "/.tidegate",
    "/.tidegate?x",
    "/x/../.tidegate/sign-in",
    "/%2e/.tidegate/sign-in",
    "/./.tidegate/callback",
  ])
    assert.equal(toReturnPath(text, PUBLIC), "/", text);
});

test("toReturnPath() keeps paths with query and fragment", () => {
  for (const text of [
    "/",
    "/d/4711",
    "/d/4711?a=b&c=https://other.example//x#part",
    "/%C3%A4?q=%0d%0aSet-Cookie:x",
    "/.tidegatex/y",
    "/a@b:c",
  ])
    assert.equal(toReturnPath(text, PUBLIC), text);
  assert.equal(toReturnPath("/a/../b", PUBLIC), "/b");
});

test("toReturnPath() always gives what resolves to our own origin, and writes no second field", () => {
  const nasty = fc
    .array(fc.constantFrom(...PIECES), { maxLength: 12 })
    .map((parts) => parts.join(""));
  fc.assert(
    fc.property(fc.oneof(nasty, fc.string({ unit: "binary" }), fc.webUrl()), (text) => {
      for (const candidate of [text, `/${text}`]) {
        const path = toReturnPath(candidate, PUBLIC);
        assert.match(path, /^\/(?:[^/\\]|$)/);
        assert.match(path, /^[\u0021-\u007e]*$/);
        for (const location of [path, `${PUBLIC}${path}`])
          assert.equal(new URL(location, PUBLIC).origin, PUBLIC);
        // What was made safe stays as it is.
        assert.equal(toReturnPath(path, PUBLIC), path.length > 512 ? "/" : path);
      }
    }),
    { numRuns: 2_000 },
  );
});

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { ODDITY, oddityBitsOf, toCanonicalPath } from "./canonical-path.ts";

const PIECES =
  "/ / . .. %2e %2E %2f %5C ; % %00 a B ~ %41 %252e %25 %7e // ... %c3 = %3b : \\ ? #".split(" ");

describe("toCanonicalPath()", () => {
  const refused = [
    ["/%00", "NUL"],
    ["/a%00b", "NUL in a segment"],
    ["/%", "a bare per cent"],
    ["/%2", "half an escape"],
    ["/%zz", "an escape that is none"],
    ["/%%41", "an escape inside an escape"],
    ["/%u0041", "an escape of another age"],
    ["/..", "a climb above the root"],
    ["/a/../..", "a climb above the root, later"],
    ["/%2e%2e", "an encoded climb"],
    ["/.%2E/", "a half encoded climb"],
    ["/a/..;/b", "a climb hidden by a parameter"],
    ["/a/.;x=y/b", "a dot segment hidden by a parameter"],
    ["/a/%2e%2e;x/b", "an encoded climb hidden by a parameter"],
    ["/a/..%2fb", "a climb hidden by an encoded slash"],
    ["/a%2f..%2fb", "a climb between encoded slashes"],
    ["/a%2f..", "a climb at the end, behind an encoded slash"],
    ["/a%5c..%5cb", "a climb between encoded backslashes"],
    ["/a%2f%2e%2e%2fb", "an encoded climb between encoded slashes"],
    ["/.//evil.example", "what resolves to an authority"],
    ["/a/..//evil.example", "what climbs to an authority"],
    ["/a b", "a blank"],
    ["/a\\b", "a backslash"],
    ["/a#b", "a fragment"],
    ["/a\x7fb", "a control character"],
    ["/a\u00e9", "a byte beyond ASCII"],
    ["/a\u0001", "a control character at the end"],
  ] as const;
  for (const [path, what] of refused)
    test(`refuses ${what}: ${JSON.stringify(path)}`, () => {
      assert.equal(toCanonicalPath(path), undefined);
    });

  const made: readonly (readonly [string, string, number])[] = [
    ["/", "/", 0],
    ["/a/b", "/a/b", 0],
    ["/a/b/", "/a/b/", 0],
    ["/A", "/A", 0],
    ["/%41%7e", "/A~", 0],
    ["/%2d", "/-", 0],
    ["/%c3%a9", "/%C3%A9", 0],
    ["/%3f%23", "/%3F%23", 0],
    ["/%2541", "/%2541", 0],
    ["/%252e%252e/a", "/%252e%252e/a", 0],
    ["/.", "/", 0],
    ["/./a", "/a", 0],
    ["/a/.", "/a/", 0],
    ["/a/..", "/", 0],
    ["/a/../b", "/b", 0],
    ["/a/b/../../c", "/c", 0],
    ["/a/%2E%2e/b", "/b", 0],
    ["/a/%2e./b", "/b", 0],
    ["/...", "/...", 0],
    ["/.a", "/.a", 0],
    ["/a/..b", "/a/..b", 0],
    ["/a%2Fb", "/a%2Fb", ODDITY.encodedSlash],
    ["/a%2fb", "/a%2Fb", ODDITY.encodedSlash],
    ["/a%5cb", "/a%5Cb", ODDITY.encodedBackslash],
    ["/a;b", "/a;b", ODDITY.semicolon],
    ["/a%3bb", "/a%3Bb", 0],
    ["/a//b", "/a//b", ODDITY.emptySegment],
    ["/a//../b", "/a/b", 0],
    ["/a;b//c%2fd", "/a;b//c%2Fd", ODDITY.semicolon | ODDITY.emptySegment | ODDITY.encodedSlash],
  ];
  for (const [path, canonical, oddities] of made)
    test(`makes ${canonical} of ${path}`, () => {
      assert.deepEqual(toCanonicalPath(path), { path: canonical, oddities });
    });

  const nasty = fc
    .array(fc.constantFrom(...PIECES), { maxLength: 14 })
    .map((parts) => `/${parts.join("")}`);
  const anyPath = fc.oneof(
    nasty,
    fc.string({ unit: "binary" }).map((text) => `/${text}`),
  );

  test("is idempotent: a canonical path is its own canonical form", () => {
    fc.assert(
      fc.property(anyPath, (path) => {
        const once = toCanonicalPath(path);
        if (once !== undefined) assert.deepEqual(toCanonicalPath(once.path), once);
      }),
      { numRuns: 5_000 },
    );
  });

  test("never leaves a dot segment that anybody behind it could see", () => {
    fc.assert(
      fc.property(anyPath, (path) => {
        const made_ = toCanonicalPath(path)?.path;
        if (made_ === undefined) return;
        assert.ok(made_.startsWith("/") && !made_.startsWith("//"));
        assert.match(made_, /^[!-~]+$/);
        assert.doesNotMatch(made_, /[\\#]|%(?![0-9A-F]{2}|[0-9a-f]{2})/);
        // The readings of services: as it is; decoded; with parameters cut off; all of these.
        const decoded = made_
          .replaceAll(/%2F/gi, "/")
          .replaceAll(/%5C/gi, "/")
          .replaceAll(/%2E/gi, ".");
        for (const reading of [made_, decoded, decoded.replaceAll(/;[^/]*/g, "")])
          for (const segment of reading.split("/")) assert.ok(segment !== "." && segment !== "..");
      }),
      { numRuns: 5_000 },
    );
  });

  test("decodes once, and agrees with the URL of the platform where that is as strict", () => {
    const segment = fc.stringMatching(/^([a-zA-Z0-9_~-]|%[2-7][0-9A-Fa-f]|\.){0,8}$/);
    fc.assert(
      fc.property(fc.array(segment, { minLength: 1, maxLength: 5 }), (segments) => {
        const path = `/${segments.join("/")}`;
        const canonical = toCanonicalPath(path)?.path;
        if (canonical === undefined) return;
        const decode = (text: string): string => {
          const resolved = new URL(`http://h${text.replaceAll(/^\/{2,}/g, "/")}`).pathname;
          return resolved.replaceAll(/%([0-9A-Fa-f]{2})/g, (_, hex: string) =>
            String.fromCharCode(Number.parseInt(hex, 16)),
          );
        };
        assert.equal(decode(canonical), decode(path));
      }),
      { numRuns: 3_000 },
    );
  });
});

test("oddityBitsOf() knows every name that a route may allow", () => {
  assert.equal(oddityBitsOf([]), 0);
  assert.equal(oddityBitsOf(["%2F", "%5C", ";", "//"]), 15);
});

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { issuerUrl, origin } from "./url.ts";

const reasonsOf = (
  schema: { safeParse(value: unknown): { error?: { issues: readonly { message: string }[] } } },
  values: readonly string[],
): (string | undefined)[] =>
  values.map((value) => schema.safeParse(value).error?.issues[0]?.message.split(";")[0]);

describe("origin()", () => {
  const http = origin(["http"]);

  test("refuses whatever is more than scheme, host and port", () => {
    const wrong = {
      "http://h/path": "has a path",
      "http://u:p@h": "has a user name or a password in it",
      "http://@h": undefined,
      "http://h?": "has a query",
      "http://h#": "has a fragment",
      "https://h": "has the scheme https, not http",
      "javascript:alert(1)": "has the scheme javascript, not http",
      "http://": "is not a URL",
      "//h": "is not a URL",
      " http://h": "is not a URL",
      "http://h\n": "is not a URL",
      "http:\\\\h": "is not a URL",
      "http://h:99999": "is not a URL",
      "": "is not a URL",
    };
    assert.deepEqual(reasonsOf(http, Object.keys(wrong)), Object.values(wrong));
  });

  test("writes every spelling in one way", () => {
    const spellings = ["http://h", "http://H/", "HTTP://h:80", "http://h:80/"];
    for (const text of spellings) assert.equal(http.parse(text), "http://h");
    assert.equal(http.parse("http://[::1]:4100"), "http://[::1]:4100");
    assert.equal(http.parse("http://0x7f.1"), "http://127.0.0.1");
  });
});

test("issuerUrl keeps what was written, for comparing with `iss` byte by byte", () => {
  for (const text of ["https://h", "https://h/", "https://h/a/b", "http://127.0.0.1:8081/"]) {
    assert.equal(issuerUrl.parse(text), text);
  }
  const wrong = [
    "http://h",
    "http://127.0.0.1.example/",
    "https://u@h",
    "https://h?x",
    "https://h#x",
  ];
  for (const reason of reasonsOf(issuerUrl, [...wrong, "ftp://h"]))
    assert.notEqual(reason, undefined);
});

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import * as fc from "fast-check";
import { parseBasicCredentials } from "./basic-credentials.ts";
import { basic } from "../test/password-fixture.ts";

describe("parseBasicCredentials()", () => {
  test("refuses every text but the one canonical spelling of user, colon and password", () => {
    const hostile: Record<string, string> = {
      empty: "",
      "no padding": basic("ada", "secret").replace(/=+$/, ""),
      "white space": ` ${basic("ada", "secret")}`,
      "white space inside": "YWRh OnNlY3JldA==",
      base64url: basic("ada", "???>>>").replaceAll("/", "_").replaceAll("+", "-"),
      "unused bits": basic("ada", "secret").replace("A==", "B=="),
      "two credentials": `${basic("ada", "secret")}, Bearer x`,
      "no colon": Buffer.from("ada").toString("base64"),
      "no user": basic("", "secret"),
      "no password": basic("ada", ""),
      "NUL in the user": basic("ada\0admin", "secret"),
      "line break in the password": basic("ada", "secret\n"),
      "C1 control": basic("ada", "secret\u0085"),
      "not UTF-8": Buffer.from([0x61, 0x3a, 0xff, 0xfe]).toString("base64"),
      "overlong UTF-8": Buffer.from([0x61, 0xc0, 0xba, 0x62]).toString("base64"),
      "endless user": basic("a".repeat(129), "secret"),
      "endless password": basic("ada", "s".repeat(2_048)),
    };
    for (const [what, text] of Object.entries(hostile)) {
      assert.equal(parseBasicCredentials(text), undefined, what);
    }
  });

  test("reads UTF-8, keeps colons in the password, and joins what keyboards write apart", () => {
    assert.deepEqual(parseBasicCredentials(basic("ada", "a:b:c")), {
      user: "ada",
      password: "a:b:c",
    });
    assert.deepEqual(parseBasicCredentials(basic("Andre\u0301", "pa\u0308ss")), {
      user: "André",
      password: "päss",
    });
  });

  test("reads back what was written, and never throws", () => {
    const text = fc.string({ unit: "grapheme", minLength: 1, maxLength: 40 });
    fc.assert(
      fc.property(text, text, (user, password) => {
        fc.pre(!user.includes(":") && user.normalize("NFC") === user);
        fc.pre(password.normalize("NFC") === password && user.length <= 128);
        fc.pre(!/[\p{Cc}]/u.test(user + password));
        assert.deepEqual(parseBasicCredentials(basic(user, password)), { user, password });
      }),
    );
    fc.assert(fc.property(fc.string(), (any) => void parseBasicCredentials(any)));
  });
});

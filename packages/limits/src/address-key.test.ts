import assert from "node:assert/strict";
import { describe, test } from "node:test";
import * as fc from "fast-check";
import { addressKey } from "./address-key.ts";

describe("addressKey()", () => {
  test("takes every form of an IPv4-mapped address for the IPv4 address", () => {
    const forms = [
      "192.0.2.1",
      "::ffff:192.0.2.1",
      "::FFFF:192.0.2.1",
      "::ffff:c000:201",
      "0:0:0:0:0:ffff:c000:0201",
      "0000:0000:0000:0000:0000:ffff:192.0.2.1",
      "::ffff:192.0.2.1%eth0",
    ];
    for (const form of forms) assert.equal(addressKey(form), "192.0.2.1", form);
    // Not mapped: another prefix, and the deprecated compatible form.
    assert.equal(addressKey("::fffe:192.0.2.1"), "0:0:0:0/64");
    assert.equal(addressKey("::192.0.2.1"), "0:0:0:0/64");
    assert.equal(addressKey("1::ffff:192.0.2.1"), "1:0:0:0/64");
  });

  test("keeps the prefix of an IPv6 address and nothing else", () => {
    const address = "2001:db8:12:3456:789a::1";
    assert.equal(addressKey(address), "2001:db8:12:3456/64");
    assert.equal(addressKey(address, 56), "2001:db8:12:3400/56");
    assert.equal(addressKey(address, 48), "2001:db8:12/48");
    assert.equal(addressKey("2001:DB8::1%7"), "2001:db8:0:0/64");
    assert.equal(addressKey("::"), "0:0:0:0/64");
    assert.equal(addressKey("1:2:3:4:5:6:7::"), "1:2:3:4/64");
  });

  test("refuses what is no address", () => {
    const texts = [
      "",
      "localhost",
      "1.2.3",
      "1.2.3.4.5",
      "01.2.3.4",
      "1.2.3.256",
      "1::2::3",
      ":1",
      "12345::",
      "[::1]",
      "::1 ",
      "192.0.2.1:80",
      `fe80::1%${"x".repeat(200)}`,
    ];
    for (const text of texts) assert.equal(addressKey(text), undefined, text);
  });

  test("gives one key to all written forms of one address, and to all addresses of one prefix", () => {
    const group = fc.integer({ min: 0, max: 0xffff });
    const groups = fc.array(fc.oneof(fc.constant(0), group), { minLength: 8, maxLength: 8 });
    fc.assert(
      fc.property(groups, fc.array(group, { minLength: 4, maxLength: 4 }), (whole, host) => {
        const plain = whole.map((value) => value.toString(16)).join(":");
        const padded = whole.map((value) => value.toString(16).padStart(4, "0").toUpperCase());
        // The URL parser compresses as RFC 5952 says.
        const compressed = new URL(`http://[${plain}]/`).hostname.slice(1, -1);
        assert.equal(addressKey(padded.join(":")), addressKey(plain));
        assert.equal(addressKey(compressed), addressKey(plain));
        if (whole[0] !== 0) {
          const neighbour = [...whole.slice(0, 4), ...host].map((value) => value.toString(16));
          assert.equal(addressKey(neighbour.join(":")), addressKey(plain));
        }
      }),
    );
  });
});

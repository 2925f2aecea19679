import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { createClientAddress, toCanonicalAddress } from "./client-address.ts";

const PROXY = "10.0.0.1";

test("resolve() believes nothing that a stranger wrote", () => {
  const address = createClientAddress(["10.0.0.0/8"]);
  // Not behind a proxy: the field is the caller's own words.
  assert.equal(address.resolve("203.0.113.9", "127.0.0.1, 10.0.0.2"), "203.0.113.9");
  assert.equal(createClientAddress([]).resolve(PROXY, "127.0.0.1"), PROXY);
  // Behind one: everything left of the first stranger is.
  assert.equal(address.resolve(PROXY, "127.0.0.1, 203.0.113.9"), "203.0.113.9");
  assert.equal(address.resolve(PROXY, "127.0.0.1, 203.0.113.9, 10.1.1.1"), "203.0.113.9");
  // What is no address ends the walk at the last that is known.
  for (const broken of ["unknown", "", " ", "_hidden", "10.0.0.2.3", "1.2.3.4:x", "[::1"])
    assert.equal(address.resolve(PROXY, `203.0.113.9, ${broken}`), PROXY, broken);
  assert.equal(address.resolve(PROXY, "203.0.113.9, unknown, 10.2.2.2"), "10.2.2.2");
  assert.equal(address.resolve(PROXY, undefined), PROXY);
});

test("resolve() reads addresses in the forms that proxies write", () => {
  const address = createClientAddress(["10.0.0.0/8", "2001:db8:1::/48"]);
  const forms: Readonly<Record<string, string>> = {
    "203.0.113.9:4711": "203.0.113.9",
    "[2001:DB8::0:1]:443": "2001:db8::1",
    "[2001:db8::1]": "2001:db8::1",
    "2001:db8:0:0::1": "2001:db8::1",
    "::ffff:203.0.113.9": "203.0.113.9",
  };
  for (const [written, meant] of Object.entries(forms))
    assert.equal(address.resolve(PROXY, written), meant, written);
  assert.equal(address.resolve("2001:db8:1::7", "203.0.113.9, 2001:db8:1::8"), "203.0.113.9");
  // All proxies, as for a check from within.
  assert.equal(address.resolve(PROXY, "10.0.0.3, 10.0.0.2"), "10.0.0.3");
});

test("resolve() names the right-most stranger, whatever stands to the left of it", () => {
  const address = createClientAddress(["10.0.0.0/8"]);
  const proxies = fc.array(fc.nat(255).map((last) => `10.0.0.${last}`));
  fc.assert(
    fc.property(fc.string(), proxies, (left, right) => {
      const field = [left.replaceAll(",", ""), "203.0.113.9", ...right].join(",");
      assert.equal(address.resolve(PROXY, field), "203.0.113.9");
    }),
  );
});

test("isTrusted() takes configured ranges alone", () => {
  const address = createClientAddress(["192.0.2.7", "2001:db8::/64"]);
  for (const [text, isTrusted] of [
    ["192.0.2.7", true],
    ["192.0.2.8", false],
    ["2001:db8::9", true],
    ["2001:db8:0:1::9", false],
    ["127.0.0.1", false],
  ] as const)
    assert.equal(address.isTrusted(text), isTrusted, text);
});

test("toCanonicalAddress() has one form for one machine", () => {
  for (const text of ["2001:db8::1", "2001:DB8:0::1", "2001:0db8:0:0:0:0:0:1", "2001:db8::1%eth0"])
    assert.equal(toCanonicalAddress(text), "2001:db8::1");
  assert.equal(toCanonicalAddress("::FFFF:192.0.2.1"), "192.0.2.1");
  assert.equal(toCanonicalAddress("192.0.2.1"), "192.0.2.1");
});

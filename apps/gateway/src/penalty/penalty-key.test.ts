import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ANONYMOUS, BASIC_ACR, type Principal } from "@tidegate/auth";
import fc from "fast-check";
import { networkAround, penaltyKeyOf } from "./penalty-key.ts";

const ada: Principal = {
  ...ANONYMOUS,
  kind: "person",
  issuer: "https://idp.example/",
  subject: "ada",
  client: "web",
};

describe("penaltyKeyOf()", () => {
  test("nobody is boxed by being named: no other proof has one of a person's keys", () => {
    const text = fc.oneof(fc.string(), fc.constantFrom("ada", "web", 'ada","web', "ada\nweb", ""));
    fc.assert(
      fc.property(
        fc.constantFrom("anonymous", "person", "client", "key" as const),
        text,
        text,
        text,
        (kind, issuer, subject, client) => {
          const other: Principal = { ...ada, kind, issuer, subject, client };
          const victim = penaltyKeyOf(ada, "192.0.2.1");
          const { narrow, wide } = penaltyKeyOf(other, "192.0.2.1");
          const isSamePerson = kind === "person" && issuer === ada.issuer && subject === "ada";
          assert.equal(wide === victim.wide, isSamePerson);
          assert.equal(narrow === victim.narrow, isSamePerson && client === "web");
          assert.notEqual(narrow, victim.wide);
          assert.notEqual(wide, victim.narrow);
        },
      ),
    );
  });

  test("a person's box is the same from any address, and an address's holds nobody who proved more", () => {
    assert.deepEqual(penaltyKeyOf(ada, "192.0.2.1"), penaltyKeyOf(ada, "2001:db8::/64"));
    const { kind, narrow, wide } = penaltyKeyOf(ANONYMOUS, "192.0.2.1");
    assert.deepEqual(
      [kind, narrow, wide],
      ["address", '["address","192.0.2.1"]', '["network","192.0.2.0/24"]'],
    );
  });

  test("a password is held like a key, and by what holds its person", () => {
    const password = penaltyKeyOf({ ...ada, client: "", acr: BASIC_ACR }, "192.0.2.1");
    assert.equal(password.kind, "key");
    const token = penaltyKeyOf(ada, "192.0.2.1");
    assert.equal(password.wide, token.wide);
    assert.notEqual(password.narrow, token.narrow);
    assert.notEqual(password.narrow, penaltyKeyOf({ ...ada, client: "" }, "192.0.2.1").narrow);
  });

  test("clients and keys have nothing wider", () => {
    assert.deepEqual(penaltyKeyOf({ ...ada, kind: "client" }, ""), {
      kind: "client",
      narrow: '["client","https://idp.example/","web"]',
      wide: "",
    });
    assert.equal(penaltyKeyOf({ ...ada, kind: "key", tokenId: "k1" }, "").wide, "");
  });

  test("a name of kilobytes is kept short, and stays another name than its neighbour", () => {
    const long = "x".repeat(10_000);
    const one = penaltyKeyOf({ ...ada, subject: `${long}1` }, "").narrow;
    assert.ok(one.length < 300);
    assert.notEqual(one, penaltyKeyOf({ ...ada, subject: `${long}2` }, "").narrow);
  });
});

describe("networkAround()", () => {
  test("is the /24 of an IPv4 address and the /48 of an IPv6 network", () => {
    assert.equal(networkAround("192.0.2.77"), "192.0.2.0/24");
    assert.equal(networkAround("2001:db8:7:1::/64"), "2001:db8:7::/48");
    assert.equal(networkAround("2001:db8:7:1/64"), "2001:db8:7::/48");
    assert.equal(networkAround("2001:db8::/64"), "2001:db8:0::/48");
    assert.equal(networkAround("::/64"), "0:0:0::/48");
    assert.equal(networkAround("unknown"), "unknown");
  });
});

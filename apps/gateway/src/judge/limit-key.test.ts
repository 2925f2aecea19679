import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ANONYMOUS, type Principal } from "@tidegate/auth";
import type { KeyPart } from "../config/limit-schema.ts";
import type { Peer, Session } from "./call.ts";
import { isKnownEarly, isOwnLimit, keyOf } from "./limit-key.ts";

const peer: Peer = {
  address: "192.0.2.1",
  network: "192.0.2.1",
  port: 4711,
  connectionNumber: 7,
};
const person: Principal = {
  ...ANONYMOUS,
  kind: "person",
  issuer: "https://issuer.test",
  subject: "ada",
  client: "app",
  sessionId: "s1",
};
const machine: Principal = { ...person, kind: "client", subject: "app", sessionId: "" };

const named = (parts: readonly KeyPart[], principal: Principal): string =>
  keyOf(
    { parts, own: undefined, route: "GET /x" },
    { session: { principal } as Session, peer, source: undefined },
  );

describe("keyOf()", () => {
  test("never lets one kind of caller be named as another", () => {
    const kinds: KeyPart[] = ["user", "client", "session", "address", "connection", "route"];
    for (const principal of [person, machine]) {
      const keys = kinds.map((part) => named([part], principal));
      // A machine is its own user, and has no session.
      assert.equal(new Set(keys).size, principal === person ? 6 : 4);
    }
    assert.notEqual(named(["user", "address"], person), named(["address", "user"], person));
  });

  test("charges the address where nobody proved anything, and the person where no session is named", () => {
    const address = named(["user"], ANONYMOUS);
    assert.equal(named(["client"], ANONYMOUS), address);
    assert.equal(named(["session"], ANONYMOUS), address);
    assert.equal(named(["session"], { ...person, sessionId: "" }), named(["user"], person));
  });

  test("tells combinations apart whatever stands in their parts", () => {
    const odd = { ...person, subject: "a;7:192.0.2.1", client: "b" };
    const even = { ...person, subject: "a", client: "7:192.0.2.1;b" };
    assert.notEqual(named(["user", "client"], odd), named(["user", "client"], even));
    assert.notEqual(named(["user", "address"], person), named(["user"], person));
  });
});

describe("isOwnLimit()", () => {
  const own = (parts: KeyPart[], kind: Principal["kind"], isSocket = false): boolean =>
    isOwnLimit({ parts }, { kind }, { isSocket });

  test("holds what others use up too against nobody", () => {
    for (const kind of ["person", "key", "client"] as const) {
      assert.equal(own(["address"], kind), false);
      assert.equal(own(["route"], kind), false);
      assert.equal(own([], kind), false);
      assert.equal(own(["connection"], kind), false);
      assert.equal(own(["user"], kind), true);
      assert.equal(own(["route", "user"], kind), true);
    }
    // All people of one program share its budget.
    assert.equal(own(["client"], "person"), false);
    assert.equal(own(["client"], "client"), true);
  });

  test("counts a socket's connection as its caller's", () => {
    assert.equal(own(["connection"], "person", true), true);
    assert.equal(own(["address"], "anonymous"), true);
  });
});

test("isKnownEarly() keeps what must be proved, and a whole route's budget, from strangers", () => {
  const early = (parts: KeyPart[]): boolean => isKnownEarly({ parts });
  assert.equal(early(["address"]), true);
  assert.equal(early(["address", "route"]), true);
  assert.equal(early(["user", "address"]), false);
  assert.equal(early(["route"]), false);
  assert.equal(early([]), false);
});

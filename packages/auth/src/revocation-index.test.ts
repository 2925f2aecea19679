import assert from "node:assert/strict";
import { describe, test } from "node:test";
import * as fc from "fast-check";
import { ANONYMOUS, type Principal } from "./principal.ts";
import { isEndedBy, RevocationIndex } from "./revocation-index.ts";
import type { Revocation } from "./revocation.ts";
import { BASIC_ACR } from "./users-file.ts";

const ISSUER = "https://issuer.example";
const T = 1_800_000_000;
const ada: Principal = {
  ...ANONYMOUS,
  kind: "person",
  issuer: ISSUER,
  subject: "ada",
  client: "web",
  acr: "urn:example:acr:pwd",
  authTimeSeconds: T - 60,
  issuedAtSeconds: T - 30,
  sessionId: "session-1",
  tokenId: "token-1",
};
const subject = (atSeconds = T): Revocation => ({
  kind: "subject",
  issuer: ISSUER,
  subject: "ada",
  atSeconds,
});

function indexWith(...revocations: Revocation[]): RevocationIndex {
  const index = new RevocationIndex();
  for (const revocation of revocations)
    assert.equal(index.add({ revocation, untilMs: (T + 3_600) * 1_000 }), true);
  return index;
}

describe("RevocationIndex", () => {
  test("refuses() a sign-in up to five seconds after the revocation, and one of unknown time, and admits a later one", () => {
    const index = indexWith(subject());
    for (const authTimeSeconds of [0, 1, T - 60, T, T + 5])
      assert.equal(index.refuses({ ...ada, authTimeSeconds }), true, String(authTimeSeconds));
    assert.equal(index.refuses({ ...ada, authTimeSeconds: T + 6 }), false);
  });

  test("refuses() a refreshed token of an earlier sign-in: it is new, and its sign-in is not", () => {
    const refreshed = { ...ada, tokenId: "token-2", issuedAtSeconds: T + 600 };
    assert.equal(indexWith(subject()).refuses(refreshed), true);
    // By `iat` it would pass, which is why that kind is for leaked tokens only.
    const issuedBefore: Revocation = {
      kind: "issued-before",
      issuer: ISSUER,
      subject: "ada",
      atSeconds: T,
    };
    assert.equal(indexWith(issuedBefore).refuses(refreshed), false);
    assert.equal(indexWith(issuedBefore).refuses(ada), true);
    assert.equal(indexWith(issuedBefore).refuses({ ...ada, issuedAtSeconds: 0 }), true);
  });

  test("refuses() what is named and nothing beside it: the same names at another issuer are somebody else's", () => {
    const revocations: Revocation[] = [
      { kind: "token", issuer: ISSUER, tokenId: "token-1" },
      { kind: "session", issuer: ISSUER, sessionId: "session-1" },
      subject(),
    ];
    for (const revocation of revocations) {
      const index = indexWith(revocation);
      assert.equal(index.refuses(ada), true, revocation.kind);
      assert.equal(index.refuses({ ...ada, issuer: `${ISSUER}/` }), false, revocation.kind);
      const other = { ...ada, subject: "grace", sessionId: "session-2", tokenId: "token-2" };
      assert.equal(index.refuses(other), false, revocation.kind);
      assert.equal(index.refuses(ANONYMOUS), false, revocation.kind);
    }
  });

  test("refuses() no password that was checked afterwards, and every client's token given before", () => {
    const index = indexWith(subject());
    const basic = { ...ada, acr: BASIC_ACR, authTimeSeconds: 0, issuedAtSeconds: 0 };
    assert.equal(index.refuses(basic), false);
    assert.equal(index.refusesEarlier(basic), true, "checked before: it has to be checked again");
    assert.equal(index.refusesEarlier({ ...basic, subject: "grace" }), false);
    assert.equal(
      isEndedBy(basic, subject()),
      true,
      "what lives on by a password ends all the same",
    );
    const client: Principal = { ...ada, kind: "client", authTimeSeconds: 0 };
    assert.equal(index.refuses({ ...client, issuedAtSeconds: T + 5 }), true);
    assert.equal(index.refuses({ ...client, issuedAtSeconds: T + 6 }), false);
  });

  test("refuses() whoever does not say when they signed in, unless our own session with them began later", () => {
    const index = indexWith(subject());
    const silent = { ...ada, authTimeSeconds: 0, issuedAtSeconds: T + 1_000 };
    assert.equal(index.refuses(silent), true, "a token alone");
    const began = (sessionCreatedSeconds: number) => ({ ...silent, sessionCreatedSeconds });
    assert.equal(index.refuses(began(T + 5)), true);
    assert.equal(isEndedBy(began(T + 5), subject()), true);
    assert.equal(index.refuses(began(T + 6)), false);
    assert.equal(isEndedBy(began(T + 6), subject()), false);
    const earlier = { ...began(T + 1_000), authTimeSeconds: T };
    assert.equal(index.refuses(earlier), true, "what the provider says weighs more");
  });

  test("add() keeps the later time and the longer memory, whatever the order", () => {
    for (const order of [
      [subject(T), subject(T - 500)],
      [subject(T - 500), subject(T)],
    ]) {
      const index = indexWith(...order);
      assert.equal(index.size, 1);
      assert.equal(index.refuses(ada), true);
    }
    const index = indexWith();
    index.add({ revocation: subject(), untilMs: 2_000 });
    index.add({ revocation: subject(), untilMs: 1_000 });
    assert.equal(index.sweep(1_500), 0);
    assert.equal(index.sweep(2_000), 1);
    assert.equal(index.refuses(ada), false);
  });

  test("add() says no when it is full, and forgets nothing for it", () => {
    const index = new RevocationIndex({ maxEntries: 2 });
    const token = (tokenId: string): Revocation => ({ kind: "token", issuer: ISSUER, tokenId });
    assert.equal(index.add({ revocation: token("token-1"), untilMs: 10 }), true);
    assert.equal(index.add({ revocation: token("token-2"), untilMs: 20 }), true);
    assert.equal(index.hasRoomFor(1), false);
    assert.equal(index.add({ revocation: token("token-3"), untilMs: 30 }), false);
    assert.equal(index.add({ revocation: token("token-1"), untilMs: 40 }), true);
    assert.equal(index.refuses(ada), true);
    index.sweep(20);
    assert.deepEqual([index.hasRoomFor(1), index.hasRoomFor(2)], [true, false]);
    assert.equal(index.add({ revocation: token("token-3"), untilMs: 30 }), true);
  });

  test("refuses() exactly whom isEndedBy() ends, but for passwords, and sweep() leaves the count right", () => {
    const name = fc.constantFrom("a", "b", "c");
    const second = fc.integer({ min: T - 10, max: T + 10 });
    const revocations = fc.array(
      fc.oneof(
        fc.record({ kind: fc.constant("token" as const), issuer: name, tokenId: name }),
        fc.record({ kind: fc.constant("session" as const), issuer: name, sessionId: name }),
        fc.record({
          kind: fc.constantFrom("subject" as const, "issued-before" as const),
          issuer: name,
          subject: name,
          atSeconds: second,
        }),
      ),
      { maxLength: 20 },
    );
    const principal = fc.record({
      kind: fc.constantFrom("person" as const, "client" as const),
      issuer: name,
      subject: name,
      tokenId: fc.constantFrom("", "a", "b", "c"),
      sessionId: fc.constantFrom("", "a", "b", "c"),
      authTimeSeconds: fc.oneof(second, fc.constant(0)),
      issuedAtSeconds: second,
    });
    fc.assert(
      fc.property(revocations, principal, (all, changes) => {
        const who: Principal = { ...ANONYMOUS, ...changes };
        const index = new RevocationIndex();
        for (const revocation of all) index.add({ revocation, untilMs: 1_000 });
        assert.equal(
          index.refuses(who),
          all.some((revocation) => isEndedBy(who, revocation)),
        );
        assert.equal(index.size, new Set(all.map(keyOf)).size);
        assert.equal(index.sweep(1_000), new Set(all.map(keyOf)).size);
        assert.equal(index.size, 0);
        assert.equal(index.refuses(who), false);
      }),
    );
  });
});

function keyOf(revocation: Revocation): string {
  const { kind, issuer } = revocation;
  switch (kind) {
    case "token":
      return JSON.stringify([kind, issuer, revocation.tokenId]);
    case "session":
      return JSON.stringify([kind, issuer, revocation.sessionId]);
    default:
      return JSON.stringify([kind, issuer, revocation.subject]);
  }
}

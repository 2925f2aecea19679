import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ANONYMOUS } from "@tidegate/auth";
import { manualClock, systemRandom } from "@tidegate/clock";
import { TicketDesk, type MintedTicket } from "./ticket-desk.ts";

const place = { host: "localhost", path: "/live", origin: "http://localhost" };
const ada = {
  principal: { ...ANONYMOUS, kind: "person", issuer: "i", subject: "ada", client: "web" },
  fingerprint: "f",
} as const;

function setUp() {
  const clock = manualClock(0);
  const desk = new TicketDesk({ dataThreads: { answer() {} }, clock, random: systemRandom });
  const mint = (who: Parameters<TicketDesk["mint"]>[1] = ada): MintedTicket => {
    const minted = desk.mint(place, who);
    assert.ok(typeof minted !== "string", "a ticket");
    return minted;
  };
  return { clock, desk, mint };
}

describe("TicketDesk", () => {
  test("redeem() takes a ticket once, and gives who minted it", () => {
    const { desk, mint } = setUp();
    const { ticket, connectionId, expiresInSeconds } = mint();
    assert.match(ticket, /^[\w-]{43}$/);
    assert.equal(expiresInSeconds, 30);
    assert.deepEqual(desk.redeem(ticket, place), { identity: ada, connectionId });
    assert.equal(desk.redeem(ticket, place), undefined);
    assert.equal(desk.redeem("another", place), undefined);
  });

  test("redeem() refuses another host, path or origin, and the ticket is gone then", () => {
    const { desk, mint } = setUp();
    const elsewhere = [
      { ...place, host: "other.example" },
      { ...place, path: "/live/" },
      { ...place, origin: "http://localhost:8081" },
      { ...place, origin: undefined },
    ];
    for (const other of elsewhere) {
      const { ticket } = mint();
      assert.equal(desk.redeem(ticket, other), undefined, JSON.stringify(other));
      assert.equal(desk.redeem(ticket, place), undefined, "it has leaked");
    }
  });

  test("redeem() refuses after thirty seconds", () => {
    const { clock, desk, mint } = setUp();
    const [early, late] = [mint(), mint()];
    clock.advance(29_999);
    assert.ok(desk.redeem(early.ticket, place));
    clock.advance(1);
    assert.equal(desk.redeem(late.ticket, place), undefined);
  });

  test("mint() gives ten at once to one person and client, and more as they are used or end", () => {
    const { clock, desk, mint } = setUp();
    const tickets = Array.from({ length: 10 }, () => mint());
    assert.equal(desk.mint(place, ada), "too-many");
    mint({ ...ada, principal: { ...ada.principal, subject: "grace" } });
    desk.redeem(tickets[3]?.ticket ?? "", place);
    mint();
    assert.equal(desk.mint(place, ada), "too-many");
    clock.advance(30_000);
    mint();
  });

  test("revoked() takes the tickets of who was shut out", () => {
    const { desk, mint } = setUp();
    const hers = mint();
    const other = mint({ ...ada, principal: { ...ada.principal, subject: "grace" } });
    desk.revoked([{ kind: "subject", issuer: "i", subject: "ada", atSeconds: 1_000 }]);
    assert.equal(desk.redeem(hers.ticket, place), undefined);
    assert.ok(desk.redeem(other.ticket, place));
    for (let count = 0; count < 10; count++) mint();
  });
});

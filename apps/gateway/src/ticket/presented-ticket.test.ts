import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { presentedTicket, SEVERAL_TICKETS, withoutTicket } from "./presented-ticket.ts";

const PROTOCOL = "Sec-WebSocket-Protocol";

test("presentedTicket() finds one ticket in query or subprotocols, and never chooses between several", () => {
  const of = (query: string, ...protocols: string[]): string | undefined =>
    presentedTicket({ query, fields: protocols.flatMap((value) => [PROTOCOL, value]) });
  assert.equal(of(""), undefined);
  assert.equal(of("?a=b&xtidegate_ticket=t", "chat, tidegate.tickets"), undefined);
  assert.equal(of("?a=b&tidegate_ticket=t1&c"), "t1");
  assert.equal(of("", "chat, tidegate.ticket.t1"), "t1");
  assert.equal(of("", "chat", " tidegate.ticket.t1 "), "t1");
  assert.equal(of("?tidegate_ticket=t1&tidegate_ticket=t1"), SEVERAL_TICKETS);
  assert.equal(of("?tidegate_ticket=t1", "tidegate.ticket.t1"), SEVERAL_TICKETS);
  assert.equal(of("", "tidegate.ticket.t1, tidegate.ticket.t2"), SEVERAL_TICKETS);
  // An empty one is a bad ticket, not none.
  for (const empty of [of("?tidegate_ticket"), of("?tidegate_ticket="), of("", "tidegate.ticket.")])
    assert.equal(empty, "?");
});

test("withoutTicket() takes every ticket out and leaves the rest as it was", () => {
  assert.equal(withoutTicket("?tidegate_ticket=t"), "");
  assert.equal(withoutTicket("?a=%20&tidegate_ticket=t&b"), "?a=%20&b");
  const pair = fc.stringMatching(/^[a-z]{0,3}(=[a-z%0-9]{0,4})?$/);
  fc.assert(
    fc.property(fc.array(pair, { minLength: 1 }), fc.nat(), (pairs, at) => {
      const shown = pairs.toSpliced(at % (pairs.length + 1), 0, "tidegate_ticket=secret");
      assert.equal(withoutTicket(`?${shown.join("&")}`), `?${pairs.join("&")}`);
    }),
  );
});

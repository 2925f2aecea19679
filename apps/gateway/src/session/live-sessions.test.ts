import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { ANONYMOUS } from "@tidegate/auth";
import { manualClock } from "@tidegate/clock";
import type { Peer, Session } from "../judge/call.ts";
import type { LiveSession, SessionEnding } from "./live-session.ts";
import { LIVE_AFTER_MS, LiveSessions } from "./live-sessions.ts";

const START_MS = 1_800_000_000_000;
const peer: Peer = { address: "::1", network: "::1", port: 1, connectionNumber: 1 };

function setUp() {
  const clock = manualClock(START_MS);
  let rightEnds: SessionEnding | undefined;
  const ended: string[] = [];
  const sessions = new LiveSessions({
    clock,
    mayGoOn: () => rightEnds,
    ended: (ending, kind) => void ended.push(`${ending.kind} ${kind}`),
  });
  const live = (subject: string, expiresAtMs = Number.POSITIVE_INFINITY) => {
    const endings: string[] = [];
    const session: Session = {
      principal: { ...ANONYMOUS, kind: "person", subject, expiresAtMs },
      isOpen: true,
      slots: new Int32Array(0),
      held: undefined,
    };
    const self: LiveSession & { endings: string[] } = {
      session,
      peer,
      endings,
      endSession(ending) {
        endings.push(ending.kind);
        sessions.delete(self);
      },
    };
    return self;
  };
  const revoke = (subject: string): number =>
    sessions.endWhere(({ principal }) => principal.subject === subject, { kind: "revoked" });
  return {
    clock,
    sessions,
    ended,
    live,
    revoke,
    endRights: () => (rightEnds = { kind: "revoked" }),
  };
}

describe("LiveSessions", () => {
  test("endWhere() ends the sockets it picks in the same turn, and no others", () => {
    const t = setUp();
    const [ada, again, grace] = [t.live("ada"), t.live("ada"), t.live("grace")];
    for (const one of [ada, again, grace]) t.sessions.addSocket(one);
    assert.equal(t.revoke("ada"), 2);
    assert.deepEqual([ada.endings, again.endings, grace.endings], [["revoked"], ["revoked"], []]);
    assert.deepEqual([ada.session.isOpen, grace.session.isOpen], [false, true]);
    assert.equal(t.sessions.size, 1);
    assert.equal(t.revoke("ada"), 0);
  });

  test("a socket whose right ended while it was opening is ended as it is added", () => {
    const t = setUp();
    t.endRights();
    const ada = t.live("ada");
    t.sessions.addSocket(ada);
    assert.deepEqual(ada.endings, ["revoked"]);
    assert.equal(t.sessions.size, 0);
  });

  test("an answer that still runs after ten seconds is a session; a shorter one is left to end", () => {
    const t = setUp();
    const [short, long] = [t.live("ada"), t.live("ada")];
    t.sessions.addAnswer(short);
    t.sessions.addAnswer(long);
    t.clock.advance(5_000);
    assert.equal(t.revoke("ada"), 0);
    t.sessions.delete(short);
    t.clock.advance(LIVE_AFTER_MS - 5_001);
    assert.deepEqual(long.endings, []);
    t.clock.advance(251);
    assert.deepEqual([short.endings, long.endings], [[], ["revoked"]]);
    const old = t.live("ada");
    t.sessions.addAnswer(old);
    t.clock.advance(LIVE_AFTER_MS);
    assert.equal(t.revoke("ada"), 1);
    assert.deepEqual(old.endings, ["revoked"]);
  });

  test("judgeAgain() ends what may not go on any more: sockets at once, a young answer when it is old enough", () => {
    const t = setUp();
    const [socket, young] = [t.live("ada"), t.live("ada")];
    t.sessions.addSocket(socket);
    t.sessions.addAnswer(young);
    assert.equal(t.sessions.judgeAgain(), 0);
    t.endRights();
    assert.equal(t.sessions.judgeAgain(), 1);
    assert.deepEqual([socket.endings, young.endings], [["revoked"], []]);
    t.clock.advance(LIVE_AFTER_MS + 250);
    assert.deepEqual(young.endings, ["revoked"]);
    assert.deepEqual(t.ended, ["revoked socket", "revoked answer"]);
  });

  test("what outlives its credential ends: sockets at once, answers when they are sessions", () => {
    const t = setUp();
    const socket = t.live("ada", START_MS + 3_000);
    const answer = t.live("ada", START_MS + 3_000);
    t.sessions.addSocket(socket);
    t.sessions.addAnswer(answer);
    t.clock.advance(2_999);
    assert.deepEqual(socket.endings, []);
    t.clock.advance(251);
    assert.deepEqual([socket.endings, answer.endings], [["expired"], []]);
    t.clock.advance(LIVE_AFTER_MS);
    assert.deepEqual(answer.endings, ["expired"]);
    assert.equal(t.sessions.size, 0);
  });

  test("who leaves takes nobody else along, in whatever order they come and go", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.boolean(), fc.nat()), { maxLength: 60 }), (steps) => {
        const t = setUp();
        const there: ReturnType<typeof t.live>[] = [];
        for (const [isNew, at] of steps) {
          if (isNew || there.length === 0) {
            const one = t.live(at % 2 === 0 ? "ada" : "grace");
            t.sessions.addSocket(one);
            there.push(one);
          } else {
            const [gone] = there.splice(at % there.length, 1);
            if (gone !== undefined) t.sessions.delete(gone);
            if (gone !== undefined) t.sessions.delete(gone);
          }
          assert.equal(t.sessions.size, there.length);
        }
        const adas = there.filter(({ session }) => session.principal.subject === "ada");
        assert.equal(t.revoke("ada"), adas.length);
        assert.ok(there.every((one) => one.endings.length === (adas.includes(one) ? 1 : 0)));
        assert.equal(t.sessions.size, there.length - adas.length);
      }),
    );
  });
});

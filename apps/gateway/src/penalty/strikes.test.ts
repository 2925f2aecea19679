import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ANONYMOUS, type Principal } from "@tidegate/auth";
import { manualClock, systemRandom } from "@tidegate/clock";
import {
  createLimiter,
  createLimitReport,
  toRateLimitPolicy,
  type LimitDefinition,
} from "@tidegate/limits";
import type { KeyPart } from "../config/limit-schema.ts";
import type { Peer, Session } from "../judge/call.ts";
import type { LimitDetail, LimitUse } from "../judge/limit-policy.ts";
import { REASON } from "../judge/reason.ts";
import { createRefusal, refuseWith, type Refusal } from "../judge/refusal.ts";
import { CallerNames } from "./caller-names.ts";
import { DenialCounts, denialDefinitionsOf } from "./denial-counts.ts";
import { EmbeddedPenalties } from "./penalty-store-embedded.ts";
import { Strikes } from "./strikes.ts";

const ada: Principal = {
  ...ANONYMOUS,
  kind: "person",
  issuer: "https://idp.example/",
  subject: "ada",
  client: "web",
  sessionId: "s1",
};

const peerOf = (connectionNumber: number): Peer => ({
  address: "192.0.2.1",
  network: "192.0.2.1",
  port: 1,
  connectionNumber,
});

const sessionOf = (principal: Principal): Session => ({
  principal,
  isOpen: true,
  slots: new Int32Array(0),
  held: undefined,
});

interface Limit {
  readonly per: readonly KeyPart[];
  readonly cost?: LimitUse["cost"];
  readonly exceed?: LimitUse["exceed"];
  readonly strikes?: boolean;
}

/** Limits of 5 per minute each, and what their refusals come to. */
function setUp(...limits: readonly Limit[]) {
  const clock = manualClock(1_800_000_000_000);
  const store = new EmbeddedPenalties({ file: ":memory:", clock, random: systemRandom });
  const definitions = limits.map((_, at): LimitDefinition => ({
    kind: "window",
    name: `limit-${at}`,
    limit: 5,
    seconds: 60,
  }));
  const limiter = createLimiter({
    definitions: denialDefinitionsOf(definitions),
    random: systemRandom,
  });
  const outcomes: string[] = [];
  const strikes = new Strikes({
    store,
    names: new CallerNames(store),
    denials: new DenialCounts(definitions, limiter),
    clock,
    struck: (outcome) => void outcomes.push(outcome),
  });
  const uses = limits.map(({ per, cost = "call", exceed = "drop", ...rest }, at): LimitUse => ({
    limitIndex: at,
    name: `limit-${at}`,
    announced: toRateLimitPolicy(definitions[at] as LimitDefinition),
    key: { parts: per, own: undefined, route: "" },
    cost,
    slot: at,
    exceed,
    strikes: rest.strikes ?? true,
  }));
  const refusalBy = (...violated: readonly number[]): Refusal => {
    const report = createLimitReport();
    report.violatedCount = violated.length;
    for (const [at, index] of violated.entries()) report.violated[at] = index;
    const refusal = createRefusal();
    const detail = { policy: { stage: "principal" }, uses, report } as unknown as LimitDetail;
    refuseWith(refusal, REASON.limit_exceeded, { detail });
    return refusal;
  };
  /** How many messages over the limits it takes until somebody is boxed; 0 when `most` are not enough. */
  const messagesUntilBoxed = async (
    connections: readonly number[],
    { most = 200, bytes = 1, principal = ada, violated = [0] } = {},
  ): Promise<number> => {
    const refusal = refusalBy(...violated);
    const session = sessionOf(principal);
    for (let count = 1; count <= most; count++) {
      const peer = peerOf(connections[count % connections.length] as number);
      strikes.message({ session, peer }, refusal, bytes);
      await Promise.resolve();
      await Promise.resolve();
      if ((await store.list(1)).length > 0) return count;
    }
    return 0;
  };
  return {
    clock,
    store,
    strikes,
    outcomes,
    refusalBy,
    messagesUntilBoxed,
    [Symbol.dispose]: () => store[Symbol.dispose](),
  };
}

describe("Strikes.message()", () => {
  test("boxes at the 31st refusal of the caller's own limit", async () => {
    using t = setUp({ per: ["user"] });
    assert.equal(await t.messagesUntilBoxed([1]), 31);
    const [entry] = await t.store.list(1);
    assert.equal(entry?.reason, "limit-0");
    assert.equal(entry.key, '["person","https://idp.example/","ada","web"]');
  });

  test("counts a person's limit over all connections, and a connection's for each of them", async () => {
    using person = setUp({ per: ["user"] });
    assert.equal(await person.messagesUntilBoxed([1, 2, 3, 4]), 31);
    using connection = setUp({ per: ["connection"] });
    assert.equal(await connection.messagesUntilBoxed([1, 2, 3, 4], { most: 120 }), 0);
    assert.equal(await connection.messagesUntilBoxed([1]), 1);
  });

  test("never counts what others use up too, what says so, and what merely waits", async () => {
    const limits: Limit[] = [
      { per: ["route"] },
      { per: ["address"] },
      { per: ["client"] },
      { per: [] },
      { per: ["user"], strikes: false },
      { per: ["user"], exceed: "delay" },
    ];
    using t = setUp(...limits);
    const violated = limits.map((_, at) => at);
    assert.equal(await t.messagesUntilBoxed([1], { violated }), 0);
    assert.deepEqual(t.outcomes, []);
    // Who proved nothing is the address, and a program is its client.
    assert.equal(await t.messagesUntilBoxed([1], { violated, principal: ANONYMOUS }), 31);
    using other = setUp(...limits);
    const program: Principal = { ...ada, kind: "client" };
    assert.equal(await other.messagesUntilBoxed([1], { violated, principal: program }), 31);
  });

  test("counts bytes as what they are", async () => {
    using t = setUp({ per: ["user"], cost: "byte" });
    assert.equal(await t.messagesUntilBoxed([1], { bytes: 1_000_000 }), 31);
  });

  test("is one strike, however many refusals there are while it is on its way", async () => {
    using t = setUp({ per: ["user"] });
    const sender = { session: sessionOf(ada), peer: peerOf(1) };
    for (let count = 0; count < 10_000; count++) t.strikes.message(sender, t.refusalBy(0), 1);
    for (let turn = 0; turn < 10; turn++) await Promise.resolve();
    assert.deepEqual(t.outcomes, ["boxed"]);
    assert.equal((await t.store.list(1))[0]?.strikes, 1);
  });

  test("begins anew after a penalty: refusals from before it are over", async () => {
    using t = setUp({ per: ["user"] });
    assert.equal(await t.messagesUntilBoxed([1]), 31);
    t.clock.advance(31_000);
    const sender = { session: sessionOf(ada), peer: peerOf(1) };
    for (let count = 0; count < 30; count++) t.strikes.message(sender, t.refusalBy(0), 1);
    for (let turn = 0; turn < 10; turn++) await Promise.resolve();
    assert.deepEqual(t.outcomes, ["boxed"]);
  });
});

describe("Strikes.penalisedBy() and delayedBy()", () => {
  test("find the limit that acts so, and only where it is the sender's own", () => {
    using t = setUp(
      { per: ["user"], exceed: "penalise" },
      { per: ["route"], exceed: "penalise" },
      { per: ["connection"], exceed: "delay" },
      { per: ["user"], exceed: "delay", strikes: false },
    );
    const sender = { session: sessionOf(ada), peer: peerOf(1) };
    assert.equal(t.strikes.penalisedBy(sender, t.refusalBy(1, 2, 0))?.name, "limit-0");
    assert.equal(t.strikes.penalisedBy(sender, t.refusalBy(1, 2)), undefined);
    assert.equal(t.strikes.delayedBy(sender, t.refusalBy(3, 2))?.name, "limit-2");
    assert.equal(t.strikes.delayedBy(sender, t.refusalBy(0, 1, 3)), undefined);
  });
});

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { manualClock } from "@tidegate/clock";
import { jsonServer } from "../test/json-server.ts";
import { makeKey, makeToken } from "../test/tokens.ts";
import { random, START_MS } from "../test/access-token-fixture.ts";
import type { EventTokenVerifier, EventVerification } from "./event-token.ts";
import { createLogoutTokenVerifier } from "./logout-token.ts";
import { createSecurityEventVerifier } from "./security-event-token.ts";

const NOW = START_MS / 1_000;
const CLIENT = "gateway";
const KEY = makeKey("ES256", "one");
const STRANGER = makeKey("ES256", "one");
const LOGOUT = "http://schemas.openid.net/event/backchannel-logout";
const REVOKED = "https://schemas.openid.net/secevent/caep/event-type/session-revoked";
const VERIFICATION = "https://schemas.openid.net/secevent/ssf/event-type/verification";

async function setUp(kind: "logout" | "event", types?: readonly string[]) {
  const clock = manualClock(START_MS);
  const server = await jsonServer();
  const issuer = server.url.origin;
  server.documents.set("/.well-known/openid-configuration", { issuer, jwks_uri: `${issuer}/keys` });
  server.documents.set("/keys", { keys: [KEY.jwk] });
  const typ = kind === "logout" ? "logout+jwt" : "secevent+jwt";
  const options = {
    issuer,
    audience: CLIENT,
    algorithms: ["ES256"] as const,
    tokenTypes: types ?? [typ],
    clockToleranceSeconds: 5,
    maxKeyAgeMs: 3_600_000,
    clock,
    random,
  };
  const verifier: EventTokenVerifier<object> =
    kind === "logout" ? createLogoutTokenVerifier(options) : createSecurityEventVerifier(options);
  const claims =
    kind === "logout"
      ? {
          iss: issuer,
          aud: CLIENT,
          iat: NOW,
          exp: NOW + 120,
          jti: "report-1",
          sub: "ada",
          sid: "session-1",
          events: { [LOGOUT]: {} },
        }
      : {
          iss: issuer,
          aud: CLIENT,
          iat: NOW,
          jti: "report-1",
          sub_id: { format: "iss_sub", iss: issuer, sub: "ada" },
          events: { [REVOKED]: { event_timestamp: NOW - 30 } },
        };
  const header = { alg: "ES256", typ, kid: "one" };
  return {
    clock,
    server,
    issuer,
    verify: (changes: object = {}, headerChanges: object = {}, key = KEY.privateKey) =>
      verifier.verify(makeToken({ ...header, ...headerChanges }, { ...claims, ...changes }, key)),
    verifyText: (text: string) => verifier.verify(text),
    text: () => makeToken(header, claims, KEY.privateKey),
    async [Symbol.asyncDispose]() {
      verifier[Symbol.dispose]();
      await server[Symbol.asyncDispose]();
    },
  };
}

const outcome = (result: EventVerification<object>): unknown =>
  result.outcome === "accepted"
    ? result.event
    : result.outcome === "invalid"
      ? result.why
      : result.outcome;

describe("createLogoutTokenVerifier()", () => {
  test("verify() refuses every other kind of token, and whatever is missing, doubled, old or to come", async () => {
    await using t = await setUp("logout");
    const cases: [string, object, object?][] = [
      ["claims", { nonce: "n" }],
      ["claims", { nonce: null }],
      ["claims", { events: undefined }],
      ["claims", { events: {} }],
      ["claims", { events: [LOGOUT] }],
      ["claims", { events: { [LOGOUT]: true } }],
      ["claims", { events: { [LOGOUT]: [] } }],
      ["claims", { events: { [REVOKED]: {} } }],
      ["claims", { jti: undefined }],
      ["claims", { jti: "" }],
      ["claims", { jti: 7 }],
      ["claims", { jti: "x".repeat(256) }],
      ["claims", { sub: undefined, sid: undefined }],
      ["claims", { sub: "" }],
      ["claims", { sid: 7 }],
      ["claims", { sid: "x".repeat(256) }],
      ["claims", { iat: undefined }],
      ["claims", { iat: String(NOW) }],
      ["claims", { exp: String(NOW + 60) }],
      ["untimely", { exp: NOW + 3_600 }],
      ["untimely", { iat: NOW - 200, exp: NOW - 80 }],
      ["untimely", { iat: NOW - 136, exp: undefined }],
      ["untimely", { iat: NOW + 60, exp: NOW + 120 }],
      ["issuer", { iss: `${t.issuer}/` }],
      ["issuer", { iss: undefined }],
      ["audience", { aud: "somebody else" }],
      ["audience", { aud: [CLIENT, "somebody else"] }],
      ["audience", { aud: undefined }],
      ["header", {}, { typ: "JWT" }],
      ["header", {}, { typ: "at+jwt" }],
      ["header", {}, { typ: undefined }],
      ["header", {}, { alg: "none" }],
      ["header", {}, { alg: "HS256" }],
      ["header", {}, { jwk: STRANGER.jwk }],
      ["key-unknown", {}, { kid: "two" }],
    ];
    for (const [why, changes, header] of cases)
      assert.equal(outcome(await t.verify(changes, header)), why, JSON.stringify(changes));
    assert.equal(outcome(await t.verify({}, {}, STRANGER.privateKey)), "signature");
    for (const text of ["", "a.b", "a.b.c", `${t.text()}=`, ` ${t.text()}`])
      assert.equal(outcome(await t.verifyText(text)), "shape");
  });

  test("verify() says who was signed out: by session, by person, by both", async () => {
    await using t = await setUp("logout");
    const told = { tokenId: "report-1", expiresSeconds: NOW + 125, atSeconds: NOW };
    const both = { ...told, subject: "ada", sessionId: "session-1" };
    assert.deepEqual(outcome(await t.verify()), both);
    assert.deepEqual(outcome(await t.verify({ aud: [CLIENT] })), both);
    assert.deepEqual(outcome(await t.verify({ sub: undefined })), { ...both, subject: "" });
    assert.deepEqual(outcome(await t.verify({ sid: undefined })), { ...both, sessionId: "" });
    // Before the final text there was no `exp`.
    assert.deepEqual(outcome(await t.verify({ exp: undefined, iat: NOW - 100 })), {
      ...both,
      atSeconds: NOW - 100,
      expiresSeconds: NOW + 35,
    });
    // A fast clock there does not refuse sign-ins that are still to come here.
    assert.deepEqual(outcome(await t.verify({ iat: NOW + 4 })), both);
  });

  test("verify() takes another typ where it is configured", async () => {
    await using t = await setUp("logout", ["logout+jwt", "JWT"]);
    assert.equal((await t.verify({}, { typ: "JWT" })).outcome, "accepted");
    assert.equal(outcome(await t.verify({}, { typ: "at+jwt" })), "header");
  });

  test("verify() asks the issuer once for a flood of made-up keys, and never says invalid while it cannot ask", async () => {
    await using t = await setUp("logout");
    assert.equal((await t.verify()).outcome, "accepted");
    const flood = Array.from({ length: 100 }, (_, at) => t.verify({}, { kid: `made-up-${at}` }));
    const outcomes = new Set((await Promise.all(flood)).map(outcome));
    assert.deepEqual(outcomes, new Set(["key-unknown", "unavailable"]));
    assert.equal(t.server.requests.filter((path) => path === "/keys").length, 1);
    await using silent = await setUp("logout");
    silent.server.documents.clear();
    assert.equal((await silent.verify()).outcome, "unavailable");
  });
});

describe("createSecurityEventVerifier()", () => {
  test("verify() refuses what is no security event, and subjects that it cannot be sure of", async () => {
    await using t = await setUp("event");
    const user = { format: "iss_sub", iss: t.issuer, sub: "ada" };
    const cases: [string, object, object?][] = [
      ["claims", { jti: undefined }],
      ["claims", { nonce: "n" }],
      ["claims", { htm: "POST" }],
      ["claims", { events: undefined }],
      ["claims", { events: {} }],
      ["claims", { events: { [REVOKED]: "now" } }],
      ["claims", { events: { [REVOKED]: { event_timestamp: "now" } } }],
      ["claims", { sub_id: undefined }],
      ["claims", { sub_id: "ada" }],
      ["claims", { sub_id: { format: "email", email: "ada@example.test" } }],
      ["claims", { sub_id: { ...user, sub: "" } }],
      ["claims", { sub_id: { ...user, iss: 7 } }],
      ["claims", { sub_id: { format: "complex" } }],
      ["claims", { sub_id: { format: "complex", user: { format: "email" } } }],
      ["claims", { sub_id: { format: "complex", user, device: { format: "opaque", id: "d" } } }],
      ["claims", { iat: undefined }],
      ["untimely", { iat: NOW + 60 }],
      ["untimely", { iat: NOW - 86_401 }],
      ["untimely", { exp: NOW - 10 }],
      ["audience", { aud: "somebody else" }],
      ["audience", { aud: [CLIENT, "somebody else"] }],
      ["issuer", { iss: "https://else.example" }],
      ["header", {}, { typ: "logout+jwt" }],
      ["header", {}, { typ: "JWT" }],
    ];
    for (const [why, changes, header] of cases)
      assert.equal(outcome(await t.verify(changes, header)), why, JSON.stringify(changes));
    assert.equal(outcome(await t.verify({}, {}, STRANGER.privateKey)), "signature");
  });

  test("verify() says whose sessions ended and when, never later than now", async () => {
    await using t = await setUp("event");
    const user = { format: "iss_sub", iss: t.issuer, sub: "ada" };
    const session = { format: "opaque", id: "session-1" };
    const read = async (changes: object): Promise<unknown> =>
      (outcome(await t.verify(changes)) as { sessionRevoked: unknown }).sessionRevoked;
    const ada = { issuer: t.issuer, subject: "ada", sessionId: "", atSeconds: NOW - 30 };
    assert.deepEqual(await read({}), ada);
    const late = { events: { [REVOKED]: { event_timestamp: NOW + 86_400 } } };
    assert.deepEqual(await read(late), { ...ada, atSeconds: NOW });
    assert.deepEqual(await read({ events: { [REVOKED]: {} } }), { ...ada, atSeconds: NOW });
    const inside = { sub_id: undefined, events: { [REVOKED]: { subject: user } } };
    assert.deepEqual(await read(inside), { ...ada, atSeconds: NOW });
    assert.deepEqual(await read({ sub_id: session }), {
      issuer: "",
      subject: "",
      sessionId: "session-1",
      atSeconds: NOW - 30,
    });
    const both = { sub_id: { format: "complex", user, session } };
    assert.deepEqual(await read(both), { ...ada, sessionId: "session-1" });
    const check = { events: { [VERIFICATION]: { state: "x" } } };
    assert.equal(await read(check), undefined);
  });
});

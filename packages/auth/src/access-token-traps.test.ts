import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  AUDIENCE,
  NOW,
  outcome,
  RSA,
  setUpVerifier,
  START_MS,
} from "../test/access-token-fixture.ts";
import { makeKey, makeToken } from "../test/tokens.ts";
import { RevocationIndex } from "./revocation-index.ts";

const THUMBPRINT = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I";

describe("access token: what else the same issuer signs", () => {
  test("verify() refuses whole ID tokens, logout tokens, security events and DPoP proofs, whatever `typ` is allowed", async () => {
    await using t = await setUpVerifier({ tokenTypes: ["at+jwt", "JWT", "absent"] });
    const backChannel = { "http://schemas.openid.net/event/backchannel-logout": {} };
    const risc = { "https://schemas.openid.net/secevent/caep/event-type/session-revoked": {} };
    const common = { iss: t.issuer, sub: "ada", iat: NOW, exp: NOW + 300, jti: "x", sid: "s" };
    const kinds: [string, string | undefined, object][] = [
      ["ID token", "JWT", { ...common, aud: "web", azp: "web", auth_time: NOW, nonce: "n" }],
      ["ID token for our audience", "JWT", { ...common, aud: AUDIENCE, azp: "web", nonce: "n" }],
      ["ID token with hashes", undefined, { ...common, aud: AUDIENCE, azp: "web", at_hash: "h" }],
      ["ID token without nonce and hashes", "JWT", { ...common, aud: "web", azp: "web" }],
      ["logout token", "logout+jwt", { ...common, aud: AUDIENCE, events: backChannel }],
      ["logout token as JWT", "JWT", { ...common, aud: AUDIENCE, azp: "web", events: backChannel }],
      ["security event", "secevent+jwt", { ...common, aud: AUDIENCE, events: risc }],
      [
        "security event as JWT",
        "JWT",
        { ...common, aud: AUDIENCE, client_id: "web", events: risc },
      ],
      ["DPoP proof", "dpop+jwt", { jti: "x", htm: "GET", htu: "https://api.test/", iat: NOW }],
      ["DPoP proof as JWT", "JWT", { ...common, aud: AUDIENCE, azp: "web", htm: "GET", ath: "a" }],
    ];
    for (const [what, typ, payload] of kinds) {
      const token = makeToken({ alg: "RS256", kid: "rsa", typ }, payload, RSA.privateKey);
      assert.equal((await t.present(token)).outcome, "invalid", what);
    }
  });
});

describe("access token: spellings and revocation", () => {
  test("no spelling of a revoked token is let in: there is one, and it carries the jti", async () => {
    const es256 = makeKey("ES256", "es256");
    await using t = await setUpVerifier({ keys: [es256.jwk] });
    const header = { ...t.header, alg: "ES256", kid: "es256" };
    const token = makeToken(header, t.claims, es256.privateKey);
    const index = new RevocationIndex();
    index.add({
      revocation: { kind: "token", issuer: t.issuer, tokenId: "1" },
      untilMs: START_MS + 300_000,
    });
    const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    const [head = "", body = "", signature = ""] = token.split(".");
    const spellings = [
      ...alphabet.split("").map((last) => token.slice(0, -1) + last),
      ...["=", "==", " ", "\t", "\n", "\u00a0"].map((tail) => token + tail),
      ...[" ", "\t"].map((start) => start + token),
      `${head}=.${body}.${signature}`,
      `${head}.${body}=.${signature}`,
      `${head}. ${body}.${signature}`,
    ];
    let letIn = 0;
    for (const text of spellings) {
      const result = await t.present(text);
      if (result.outcome === "accepted" && !index.refuses(result.principal)) letIn++;
    }
    assert.equal(letIn, 0);
  });
});

describe("access token: an issuer that is down", () => {
  test("a thousand made-up key ids cost it one question per back-off, and good tokens go on", async () => {
    await using t = await setUpVerifier();
    assert.equal(outcome(await t.present(t.sign())), "accepted");
    t.server.documents.clear();
    t.clock.advance(10_000);
    const asked = t.asked.length;
    for (let wave = 0; wave < 4; wave++) {
      const before = t.asked.length;
      const flood = await Promise.all(
        Array.from({ length: 250 }, (_, at) =>
          t.present(t.sign({ jti: `${wave}.${at}` }, { kid: `bogus-${wave}-${at}` })),
        ),
      );
      // Nobody can say now whether there is such a key: never a refusal.
      assert.deepEqual(new Set(flood.map(outcome)), new Set(["unavailable"]));
      // One attempt: the metadata at both of its places.
      assert.ok(t.asked.length - before <= 2, String(t.asked.length - before));
      assert.equal(outcome(await t.present(t.sign({ jti: `good ${wave}` }))), "accepted");
    }
    assert.ok(t.asked.length - asked <= 2, String(t.asked.length - asked));
  });
});

describe("access token: claims of other names", () => {
  test("verify() reads scopes, client, level and time where it is told to, and nowhere else", async () => {
    await using t = await setUpVerifier({
      names: {
        scopeClaim: "permissions",
        clientClaim: "azp",
        acrMap: { "2": "phr" },
        authTimeClaim: "https://shop.example/auth_time",
      },
    });
    const told = {
      azp: "app",
      permissions: ["tasks:read"],
      scope: "tasks:write",
      acr: "2",
      auth_time: NOW - 1,
      "https://shop.example/auth_time": NOW - 60,
    };
    const result = await t.present(t.sign(told));
    assert.ok(result.outcome === "accepted");
    const { client, scopes, acr, authTimeSeconds } = result.principal;
    assert.deepEqual(
      { client, scopes: [...scopes], acr, authTimeSeconds },
      { client: "app", scopes: ["tasks:read"], acr: "phr", authTimeSeconds: NOW - 60 },
    );
    // A level that is not in the map is unknown, also one that every object has.
    for (const level of ["1", "phr", "constructor", "__proto__"]) {
      const other = await t.present(t.sign({ ...told, acr: level }));
      assert.ok(other.outcome === "accepted" && other.principal.acr === "", level);
    }
    assert.equal(outcome(await t.present(t.sign({ ...told, azp: undefined }))), "claims");
  });

  test("verify() knows no time of sign-in where no claim says one", async () => {
    await using t = await setUpVerifier({ names: { authTimeClaim: "" } });
    const result = await t.present(t.sign({ auth_time: NOW - 1, "": NOW - 1 }));
    assert.ok(result.outcome === "accepted" && result.principal.authTimeSeconds === 0);
  });

  test("verify() takes a token bound to a key only for who checks the proof, and says which key", async () => {
    await using t = await setUpVerifier({ names: { boundTokens: "proof-checked-by-caller" } });
    const bound = await t.present(t.sign({ cnf: { jkt: THUMBPRINT } }));
    assert.ok(bound.outcome === "accepted" && bound.principal.keyThumbprint === THUMBPRINT);
    for (const cnf of [{}, { jkt: "short" }, { jkt: 1 }, { jkt: THUMBPRINT, kid: "x" }, [], null])
      assert.equal(outcome(await t.present(t.sign({ cnf }))), "proof-of-possession");
    const certificate = { jkt: THUMBPRINT, "x5t#S256": "x" };
    assert.equal(outcome(await t.present(t.sign({ cnf: certificate }))), "certificate-bound");
  });
});

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { AUDIENCE, NOW, outcome, setUpVerifier, START_MS } from "../test/access-token-fixture.ts";

const THUMBPRINT = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I";

describe("access token: claims", () => {
  test("verify() refuses other issuers, audiences, kinds of token, times and malformed claims", async () => {
    await using t = await setUpVerifier();
    const cases: [string, object, string][] = [
      ["issuer with a slash", { iss: `${t.issuer}/` }, "issuer"],
      ["issuer as list", { iss: [t.issuer] }, "issuer"],
      ["no issuer", { iss: undefined }, "issuer"],
      ["another audience", { aud: "https://other.test" }, "audience"],
      ["one audience more", { aud: [AUDIENCE, "https://other.test"] }, "audience"],
      ["audience as prefix", { aud: `${AUDIENCE}.attacker.example` }, "audience"],
      ["no audience", { aud: undefined }, "audience"],
      ["empty audience", { aud: [] }, "audience"],
      ["audience with an object", { aud: [AUDIENCE, {}] }, "audience"],
      ["no exp", { exp: undefined }, "claims"],
      ["exp as text", { exp: String(NOW + 300) }, "claims"],
      ["exp null", { exp: null }, "claims"],
      ["exp in milliseconds", { exp: START_MS + 300_000 }, "claims"],
      ["expired", { iat: NOW - 400, exp: NOW - 5 }, "expired"],
      ["no iat", { iat: undefined }, "claims"],
      ["issued in the future", { iat: NOW + 6, exp: NOW + 300 }, "not-yet-valid"],
      ["nbf in the future", { nbf: NOW + 6 }, "not-yet-valid"],
      ["nbf as text", { nbf: "0" }, "claims"],
      ["lives too long", { exp: NOW + 3_601 }, "lifetime"],
      ["ends before it begins", { iat: NOW + 4, exp: NOW + 3 }, "lifetime"],
      ["no sub", { sub: undefined }, "claims"],
      ["empty sub", { sub: "" }, "claims"],
      ["sub as number", { sub: 1 }, "claims"],
      ["sub with a line break", { sub: "ada\nadmin" }, "claims"],
      ["endless sub", { sub: "a".repeat(256) }, "claims"],
      ["no client", { client_id: undefined }, "claims"],
      ["only azp under at+jwt", { client_id: undefined, azp: "web" }, "claims"],
      ["scope as object", { scope: { read: true } }, "claims"],
      ["scope with a quote", { scope: 'read "write"' }, "claims"],
      ["scope with two blanks", { scope: "read  write" }, "claims"],
      ["scope of numbers", { scope: [1] }, "claims"],
      ["too many scopes", { scope: Array.from({ length: 257 }, (_, i) => `s${i}`) }, "claims"],
      ["acr as number", { acr: 0 }, "claims"],
      ["sid as list", { sid: ["1"] }, "claims"],
      ["bound to a DPoP key", { cnf: { jkt: "x" } }, "proof-of-possession"],
      [
        "bound to a DPoP key, with a good thumbprint",
        { cnf: { jkt: THUMBPRINT } },
        "proof-of-possession",
      ],
      ["bound to a certificate", { cnf: { "x5t#S256": "x" } }, "certificate-bound"],
      ["bound to both", { cnf: { jkt: THUMBPRINT, "x5t#S256": "x" } }, "certificate-bound"],
      ["bound to a key in place", { cnf: { jwk: {} } }, "proof-of-possession"],
      ["cnf null", { cnf: null }, "proof-of-possession"],
    ];
    for (const [what, changes, why] of cases) {
      assert.equal(outcome(await t.present(t.sign(changes))), why, what);
    }
  });

  test("verify() refuses ID, logout, event and refresh tokens and DPoP proofs, also where typ is only JWT", async () => {
    await using strict = await setUpVerifier();
    for (const typ of [
      "JWT",
      "id_token+jwt",
      "logout+jwt",
      "secevent+jwt",
      "dpop+jwt",
      undefined,
    ]) {
      assert.equal(outcome(await strict.present(strict.sign({}, { typ }))), "header", String(typ));
    }
    await using loose = await setUpVerifier({ tokenTypes: ["JWT"] });
    const typ = { typ: "JWT" };
    assert.equal(outcome(await loose.present(loose.sign({}, typ))), "accepted");
    const others: Record<string, object> = {
      "ID token": { nonce: "n" },
      "ID token with at_hash": { at_hash: "h" },
      "logout token": { events: { "http://schemas.openid.net/event/backchannel-logout": {} } },
      "DPoP proof": { htm: "GET", htu: "https://api.test/" },
      "ID token of Cognito": { token_use: "id" },
      "ID token of Keycloak": { typ: "ID" },
      "refresh token of Keycloak": { typ: "Refresh" },
    };
    for (const [what, changes] of Object.entries(others)) {
      assert.equal(outcome(await loose.present(loose.sign(changes, typ))), "kind-of-token", what);
    }
  });

  test("verify() reads typ as a media type, and a missing one only where that is configured", async () => {
    await using t = await setUpVerifier();
    for (const typ of ["at+jwt", "AT+JWT", "application/at+jwt"]) {
      assert.equal(outcome(await t.present(t.sign({}, { typ }))), "accepted", typ);
    }
    await using spelled = await setUpVerifier({ tokenTypes: ["application/AT+JWT"] });
    assert.equal(outcome(await spelled.present(spelled.sign())), "accepted");
    await using absent = await setUpVerifier({ tokenTypes: ["absent"] });
    assert.equal(outcome(await absent.present(absent.sign({}, { typ: undefined }))), "accepted");
    assert.equal(outcome(await absent.present(absent.sign({}, { typ: "absent" }))), "header");
  });

  test("verify() fills the principal, and takes doubtful levels for the weakest", async () => {
    await using t = await setUpVerifier({ otherAudiences: ["https://userinfo.test"] });
    const result = await t.present(
      t.sign({
        aud: ["https://userinfo.test", AUDIENCE],
        scope: "tasks:read tasks:write",
        acr: "phr",
        auth_time: NOW - 60.5,
        sid: "session",
      }),
    );
    assert.ok(result.outcome === "accepted");
    assert.deepEqual(result.principal, {
      kind: "person",
      issuer: t.issuer,
      subject: "ada",
      client: "web",
      scopes: new Set(["tasks:read", "tasks:write"]),
      acr: "phr",
      authTimeSeconds: NOW - 61,
      issuedAtSeconds: NOW,
      sessionId: "session",
      tokenId: "1",
      keyThumbprint: "",
      expiresAtMs: START_MS + 300_000,
    });
    assert.ok(Object.isFrozen(result.principal));

    for (const doubtful of [0, undefined, String(NOW), NOW + 6, -1, null, Number.MAX_VALUE]) {
      const weak = await t.present(t.sign({ auth_time: doubtful }));
      assert.ok(weak.outcome === "accepted");
      assert.equal(weak.principal.authTimeSeconds, 0, String(doubtful));
    }
    const machine = await t.present(t.sign({ sub: "web" }));
    assert.ok(machine.outcome === "accepted");
    assert.equal(machine.principal.kind, "client");
  });

  test("verify() reads scopes and clients as other providers write them", async () => {
    await using t = await setUpVerifier({ tokenTypes: ["JWT", "absent"] });
    const okta = t.sign(
      { client_id: undefined, cid: "web", scp: ["tasks:read", "tasks:write"] },
      { typ: undefined },
    );
    const auth0 = t.sign(
      { client_id: undefined, azp: "web", scope: "tasks:read tasks:write" },
      { typ: "JWT" },
    );
    for (const token of [okta, auth0]) {
      const result = await t.present(token);
      assert.ok(result.outcome === "accepted");
      assert.equal(result.principal.client, "web");
      assert.deepEqual(result.principal.scopes, new Set(["tasks:read", "tasks:write"]));
    }
  });
});

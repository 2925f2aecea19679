import assert from "node:assert/strict";
import { describe, test } from "node:test";
import * as jose from "jose";
import * as client from "openid-client";
import { API, startIdentityUnderTest } from "./identity-under-test.ts";

describe("a sign-in", () => {
  test("gives an RFC 9068 access token that says how and when the person signed in", async () => {
    await using identity = await startIdentityUnderTest();
    const party = await identity.relyingParty();
    const tokens = await party.signIn(identity.browser());
    const jwks = jose.createRemoteJWKSet(new URL(party.config.serverMetadata().jwks_uri ?? ""));
    const { payload, protectedHeader } = await jose.jwtVerify(tokens.access_token, jwks);
    assert.equal(protectedHeader.typ, "at+jwt");
    assert.equal(protectedHeader.alg, "ES256");
    const claims = tokens.claims();
    assert.deepEqual(
      { ...payload, iat: 0, exp: (payload.exp ?? 0) - (payload.iat ?? 0), jti: "", auth_time: 0 },
      {
        iss: identity.issuer,
        aud: API,
        sub: identity.adaId,
        client_id: "gateway",
        scope: "tasks:read",
        acr: "urn:tidegate:acr:pwd",
        amr: ["pwd"],
        sid: claims?.["sid"],
        iat: 0,
        exp: 300,
        jti: "",
        auth_time: 0,
      },
    );
    assert.equal(payload["auth_time"], claims?.["auth_time"]);
    assert.equal(typeof claims?.["sid"], "string");
    assert.equal(claims?.["acr"], "urn:tidegate:acr:pwd");
    assert.equal(claims?.["preferred_username"], "ada");
    assert.equal(claims?.["email"], "ada@example.org");
  });

  test("serves userinfo to a client that has no API", async () => {
    await using identity = await startIdentityUnderTest();
    const party = await identity.relyingParty("profile-only");
    const tokens = await party.signIn(identity.browser(), {
      parameters: { scope: "openid email" },
    });
    const info = await client.fetchUserInfo(party.config, tokens.access_token, identity.adaId);
    assert.deepEqual(info, { sub: identity.adaId, email: "ada@example.org", email_verified: true });
  });
});

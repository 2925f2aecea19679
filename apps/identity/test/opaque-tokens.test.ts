import assert from "node:assert/strict";
import { describe, test } from "node:test";
import * as client from "openid-client";
import { OPAQUE_API, startIdentityUnderTest } from "./identity-under-test.ts";
import { signInTwice } from "./sign-in-twice.ts";

describe("an opaque token", () => {
  test("is introspected by whom the operator named and nobody else (RFC 7662), and says what a JWT says", async () => {
    await using identity = await startIdentityUnderTest();
    const { opaque, jwt } = await signInTwice(identity);
    const named = await identity.relyingParty("introspector");
    const verdict = await client.tokenIntrospection(named.config, opaque.access_token);
    assert.equal(verdict.active, true);
    assert.equal(verdict.aud, OPAQUE_API);
    assert.equal(verdict.sub, identity.adaId);
    assert.equal(verdict.iss, identity.issuer);
    assert.equal(verdict.client_id, "gateway");
    assert.equal(verdict.scope, "things:read");
    assert.equal(verdict["acr"], "urn:tidegate:acr:pwd");
    assert.deepEqual(verdict["amr"], ["pwd"]);
    assert.equal(typeof verdict["auth_time"], "number");
    assert.equal(verdict["sid"], jwt.claims()?.["sid"]);
    const stranger = await identity.relyingParty("stranger");
    const other = await client.tokenIntrospection(stranger.config, opaque.access_token);
    assert.deepEqual(other, { active: false });
    const unknown = await client.tokenIntrospection(named.config, "x".repeat(43));
    assert.deepEqual(unknown, { active: false });
  });

  test("is revoked by its own client and nobody else (RFC 7009)", async () => {
    await using identity = await startIdentityUnderTest();
    const { party, opaque } = await signInTwice(identity);
    const stranger = await identity.relyingParty("stranger");
    await client.tokenRevocation(stranger.config, opaque.access_token);
    assert.equal((await client.tokenIntrospection(party.config, opaque.access_token)).active, true);
    await client.tokenRevocation(party.config, opaque.access_token);
    assert.equal(
      (await client.tokenIntrospection(party.config, opaque.access_token)).active,
      false,
    );
  });

  test("ends with its refresh token's revocation, as the whole grant does", async () => {
    await using identity = await startIdentityUnderTest();
    const { party, opaque, jwt } = await signInTwice(identity);
    await client.tokenRevocation(party.config, jwt.refresh_token ?? "");
    assert.equal(
      (await client.tokenIntrospection(party.config, opaque.access_token)).active,
      false,
    );
  });
});

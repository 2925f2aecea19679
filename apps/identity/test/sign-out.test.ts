import assert from "node:assert/strict";
import { describe, test } from "node:test";
import * as client from "openid-client";
import { SIGNED_OUT, startIdentityUnderTest } from "./identity-under-test.ts";
import { assertAllGone, signInTwice } from "./sign-in-twice.ts";

describe("signing out through a client (RP-initiated logout)", () => {
  test("asks nobody when the client shows an ID token of this very session", async () => {
    await using identity = await startIdentityUnderTest();
    const all = await signInTwice(identity);
    const url = client.buildEndSessionUrl(all.party.config, {
      id_token_hint: all.jwt.id_token ?? "",
      post_logout_redirect_uri: SIGNED_OUT,
      state: "here",
    });
    const shown = await all.browser.open(url.href);
    assert.equal(shown.url, `${SIGNED_OUT}?state=here`);
    await assertAllGone(identity, all);
  });

  test("asks when it does not, and another site's form ends nothing", async () => {
    await using identity = await startIdentityUnderTest();
    const { browser, party, jwt } = await signInTwice(identity);
    const other = await party.signIn(identity.browser());
    for (const hint of [undefined, other.id_token]) {
      const url = client.buildEndSessionUrl(party.config, {
        ...(hint !== undefined && { id_token_hint: hint }),
        post_logout_redirect_uri: SIGNED_OUT,
      });
      const shown = await browser.open(url.href);
      assert.match(shown.text, /Sign out\?/);
    }
    for (const [origin, xsrf] of [
      ["http://localhost:1", ""],
      [identity.issuer, "guess"],
      [identity.issuer, ""],
    ] as const) {
      const answer = await browser.request("/sign-out/confirm", {
        method: "POST",
        headers: { origin, "content-type": "application/x-www-form-urlencoded" },
        body: new URLSearchParams({ xsrf, logout: "yes" }).toString(),
      });
      assert.equal(answer.status, 403);
      await answer.body?.cancel();
    }
    assert.ok((await client.refreshTokenGrant(party.config, jwt.refresh_token ?? "")).access_token);
  });

  test("goes to registered addresses only, and works for somebody who is signed out already", async () => {
    await using identity = await startIdentityUnderTest();
    const party = await identity.relyingParty();
    const nobody = identity.browser();
    const url = new URL(
      client.buildEndSessionUrl(party.config, { post_logout_redirect_uri: SIGNED_OUT }).href,
    );
    const shown = await nobody.open(url.href);
    assert.equal(shown.url, SIGNED_OUT);
    assert.equal(shown.text.includes("<script"), false);
    url.searchParams.set("post_logout_redirect_uri", `${SIGNED_OUT}/other`);
    const refused = await nobody.open(url.href);
    assert.equal(refused.isForeign, false);
    assert.equal(refused.status, 400);
    const plain = await nobody.open("/sign-out");
    assert.match(plain.text, /You are signed out/);
  });
});

import assert from "node:assert/strict";
import * as client from "openid-client";
import type { FlowBrowser } from "./flow-browser.ts";
import {
  OPAQUE_API,
  type IdentityUnderTest,
  type RelyingParty,
  type Tokens,
} from "./identity-under-test.ts";

/** Signs ada in for a JWT and for an opaque token. */
export async function signInTwice(identity: IdentityUnderTest): Promise<SignedInTwice> {
  const party = await identity.relyingParty();
  const browser = identity.browser();
  const jwt = await party.signIn(browser);
  const parameters = { resource: OPAQUE_API, scope: "openid things:read" };
  const opaque = await party.signIn(browser, { parameters });
  return { party, jwt, opaque, browser };
}

export async function assertAllGone(
  identity: IdentityUnderTest,
  all: SignedInTwice,
): Promise<void> {
  const { party, jwt, opaque, browser } = all;
  for (const tokens of [jwt, opaque]) {
    await assert.rejects(client.refreshTokenGrant(party.config, tokens.refresh_token ?? ""), {
      error: "invalid_grant",
    });
  }
  const verdict = await client.tokenIntrospection(party.config, opaque.access_token);
  assert.equal(verdict.active, false);
  const shown = await browser.open((await party.begin()).url);
  assert.equal(shown.isForeign, false, "the browser has to sign in again");
  assert.match(shown.text, /name="password"/);
  assert.deepEqual(await identity.server.provider.sessions.list(identity.adaId), []);
}

export interface SignedInTwice {
  readonly party: RelyingParty;
  readonly browser: FlowBrowser;
  readonly jwt: Tokens;
  readonly opaque: Tokens;
}

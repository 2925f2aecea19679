import assert from "node:assert/strict";
import { describe, mock, test } from "node:test";
import * as client from "openid-client";
import { CALLBACK, startIdentityUnderTest, type RelyingParty } from "./identity-under-test.ts";

type Change = (url: URL) => void;

/** An otherwise good authorization request. */
async function requestWith(party: RelyingParty, change: Change): Promise<string> {
  const url = new URL((await party.begin()).url);
  change(url);
  return url.href;
}

/** An error that the client gets, with `iss`. */
function errorAt(url: string): { error: string | null; iss: string | null } {
  const { searchParams, hash } = new URL(url);
  assert.equal(hash, "", "nothing is ever answered in a fragment");
  return { error: searchParams.get("error"), iss: searchParams.get("iss") };
}

describe("the authorization endpoint", () => {
  test("sends nobody to an address that is not registered, character by character", async () => {
    await using identity = await startIdentityUnderTest();
    const party = await identity.relyingParty();
    for (const uri of [
      `${CALLBACK}/`,
      `${CALLBACK}?next=1`,
      `${CALLBACK}#x`,
      CALLBACK.replace("127.0.0.1", "localhost"),
      CALLBACK.replace(":9/", ":10/"),
      CALLBACK.toUpperCase(),
      CALLBACK.replace("/callback", "/callback/../evil"),
      "https://evil.example/callback",
      `https://evil.example#${CALLBACK}`,
      "javascript:alert(1)",
    ]) {
      const url = await requestWith(party, (request) => {
        request.searchParams.set("redirect_uri", uri);
      });
      const shown = await identity.browser().open(url);
      assert.equal(shown.isForeign, false, uri);
      assert.equal(shown.status, 400, uri);
    }
    const without = await requestWith(party, ({ searchParams }) =>
      searchParams.delete("redirect_uri"),
    );
    assert.equal((await identity.browser().open(without)).isForeign, false);
  });

  test("refuses every flow but the code, with PKCE by S256, and says who refused (RFC 9207)", async () => {
    await using identity = await startIdentityUnderTest();
    const party = await identity.relyingParty();
    const cases: [string, Change][] = [
      ["invalid_request", (url) => url.searchParams.set("response_type", "token")],
      ["invalid_request", (url) => url.searchParams.set("response_type", "id_token")],
      ["invalid_request", (url) => url.searchParams.set("response_type", "code id_token")],
      ["unsupported_response_type", (url) => url.searchParams.set("response_type", "none")],
      ["invalid_request", (url) => url.searchParams.delete("code_challenge")],
      ["invalid_request", (url) => url.searchParams.set("code_challenge_method", "plain")],
      ["invalid_request", (url) => url.searchParams.delete("code_challenge_method")],
      ["invalid_request", (url) => url.searchParams.set("code_challenge", "short")],
      [
        "request_not_supported",
        (url) => url.searchParams.set("request", "eyJhbGciOiJub25lIn0.e30."),
      ],
      ["invalid_target", (url) => url.searchParams.set("resource", "https://other.example")],
      ["invalid_request", (url) => url.searchParams.set("prompt", "none login")],
    ];
    for (const [error, change] of cases) {
      const url = await requestWith(party, change);
      const shown = await identity.browser().open(url);
      assert.equal(shown.isForeign, true, `${error}: ${shown.text}`);
      const [mode] = shown.url.includes("#") ? ["fragment"] : ["query"];
      // The library answers what is no code flow in the way of that flow; there is never more in it than the error.
      if (mode === "fragment") {
        const fragment = new URLSearchParams(new URL(shown.url).hash.slice(1));
        assert.equal(fragment.get("error"), error);
        assert.equal(fragment.get("iss"), identity.issuer);
        assert.equal(fragment.has("access_token"), false);
      } else {
        assert.deepEqual(errorAt(shown.url), { error, iss: identity.issuer });
      }
    }
  });

  test("shows no page that submits itself, whichever response mode is asked for", async () => {
    await using identity = await startIdentityUnderTest();
    const party = await identity.relyingParty();
    const browser = identity.browser();
    await party.signIn(browser);
    for (const mode of ["form_post", "fragment", "web_message", "jwt", "query.jwt", "nonsense"]) {
      for (const scope of ["openid", "openid tasks:read"]) {
        const url = await requestWith(party, ({ searchParams }) => {
          searchParams.set("response_mode", mode);
          searchParams.set("scope", scope);
        });
        const shown = await browser.open(url);
        assert.equal(shown.text.includes("<script"), false, mode);
        assert.equal(shown.text.includes("document.forms"), false, mode);
        assert.equal(new URL(shown.url).searchParams.has("code"), false, mode);
        assert.equal(new URL(shown.url).hash.includes("code="), false, mode);
      }
    }
  });

  test("has no other doors: no registration, no device flow, no development pages, no POST", async () => {
    await using identity = await startIdentityUnderTest();
    for (const path of [
      "/reg",
      "/register-client",
      "/device",
      "/device/auth",
      "/backchannel",
      "/interaction/x",
      "/auth",
      "/me",
      "/session/end",
      "/token/introspection",
    ]) {
      for (const method of ["GET", "POST"]) {
        const answer = await fetch(`${identity.issuer}${path}`, {
          method,
          headers: { origin: identity.issuer },
        });
        await answer.body?.cancel();
        assert.equal(answer.status, 404, `${method} ${path}`);
      }
    }
    const posted = await fetch(`${identity.issuer}/authorize`, { method: "POST" });
    assert.equal(posted.status, 403);
  });

  test("describes itself truly", async () => {
    await using identity = await startIdentityUnderTest();
    const answer = await fetch(`${identity.issuer}/.well-known/openid-configuration`);
    const metadata = (await answer.json()) as Record<string, unknown>;
    const url = (path: string): string => `${identity.issuer}${path}`;
    assert.deepEqual(metadata, {
      acr_values_supported: ["urn:tidegate:acr:pwd"],
      authorization_endpoint: url("/authorize"),
      authorization_response_iss_parameter_supported: true,
      backchannel_logout_session_supported: true,
      backchannel_logout_supported: true,
      claim_types_supported: ["normal"],
      claims_parameter_supported: true,
      claims_supported: metadata["claims_supported"],
      code_challenge_methods_supported: ["S256"],
      dpop_signing_alg_values_supported: ["ES256", "EdDSA", "Ed25519", "PS256", "RS256"],
      end_session_endpoint: url("/sign-out"),
      grant_types_supported: ["authorization_code", "refresh_token", "client_credentials"],
      id_token_signing_alg_values_supported: ["ES256"],
      introspection_endpoint: url("/introspect"),
      issuer: identity.issuer,
      jwks_uri: url("/jwks"),
      pushed_authorization_request_endpoint: url("/request"),
      request_uri_parameter_supported: false,
      response_modes_supported: ["query"],
      response_types_supported: ["code"],
      revocation_endpoint: url("/revoke"),
      scopes_supported: ["openid", "offline_access", "profile", "email"],
      subject_types_supported: ["public"],
      token_endpoint: url("/token"),
      token_endpoint_auth_methods_supported: ["client_secret_basic", "client_secret_post", "none"],
      userinfo_endpoint: url("/userinfo"),
    });
    assert.deepEqual([...(metadata["claims_supported"] as string[])].sort(), [
      "acr",
      "amr",
      "auth_time",
      "email",
      "email_verified",
      "iss",
      "name",
      "preferred_username",
      "sid",
      "sub",
    ]);
  });

  test("builds its addresses from its own name, whatever a request claims", async () => {
    await using identity = await startIdentityUnderTest();
    const document = async (
      headers: Record<string, string>,
      origin = identity.issuer,
    ): Promise<unknown> => {
      const answer = await fetch(`${origin}/.well-known/openid-configuration`, { headers });
      return answer.json();
    };
    const plain = await document({});
    for (const headers of [
      { "x-forwarded-host": "evil.example" },
      { "x-forwarded-proto": "https" },
      { forwarded: "host=evil.example;proto=https" },
      { "x-forwarded-for": "192.0.2.1", "x-original-url": "/evil" },
    ]) {
      assert.deepEqual(await document(headers), plain);
    }
    // Under another name of its own it is the same issuer.
    assert.deepEqual(await document({}, identity.server.url), plain);
  });

  test("takes a pushed request, once, and only what its client could have sent itself", async () => {
    await using identity = await startIdentityUnderTest();
    const party = await identity.relyingParty();
    const { url } = await party.begin();
    const parameters = new URL(url).searchParams;
    const pushed = await client.buildAuthorizationUrlWithPAR(party.config, parameters);
    const browser = identity.browser();
    await party.signIn(browser);
    const shown = await browser.open(pushed.href);
    assert.equal(new URL(shown.url).searchParams.has("code"), true);
    const again = await browser.open(pushed.href);
    assert.equal(again.isForeign, false);
    parameters.set("redirect_uri", "https://evil.example/");
    await assert.rejects(client.buildAuthorizationUrlWithPAR(party.config, parameters));
  });

  test("slows down a network that asks without end, and answers others", async () => {
    await using identity = await startIdentityUnderTest();
    const party = await identity.relyingParty();
    const { url } = await party.begin();
    let refused = 0;
    for (let batch = 0; batch < 20 && refused === 0; batch++) {
      const statuses = await Promise.all(
        Array.from({ length: 25 }, async () => {
          const answer = await fetch(url, { redirect: "manual" });
          await answer.body?.cancel();
          return answer.status;
        }),
      );
      refused += statuses.filter((status) => status === 429).length;
    }
    assert.ok(refused > 0, "500 requests at once were all taken");
    assert.equal((await fetch(`${identity.issuer}/jwks`)).status, 200);
  });
});

describe("an authorization code", () => {
  test("is good once: a second use is refused and takes the tokens of the first with it", async () => {
    await using identity = await startIdentityUnderTest();
    const party = await identity.relyingParty();
    const browser = identity.browser();
    await party.signIn(browser);
    const request = await party.begin();
    const shown = await browser.open(request.url);
    const tokens = await request.redeem(shown.url);
    await assert.rejects(request.redeem(shown.url), { error: "invalid_grant" });
    await assert.rejects(client.refreshTokenGrant(party.config, tokens.refresh_token ?? ""), {
      error: "invalid_grant",
    });
  });

  test("is good for one of many who come at the same moment", async () => {
    await using identity = await startIdentityUnderTest();
    const party = await identity.relyingParty();
    const browser = identity.browser();
    await party.signIn(browser);
    for (let round = 0; round < 3; round++) {
      const request = await party.begin();
      const shown = await browser.open(request.url);
      const outcomes = await Promise.allSettled(
        Array.from({ length: 8 }, () => request.redeem(shown.url)),
      );
      const good = outcomes.filter(({ status }) => status === "fulfilled");
      assert.ok(good.length <= 1, `${good.length} redeemed one code`);
    }
  });

  test("is refused to another client, with another verifier, and after a minute", async (context) => {
    await using identity = await startIdentityUnderTest();
    const party = await identity.relyingParty();
    const browser = identity.browser();
    await party.signIn(browser);
    const stolen = await party.begin();
    const { url } = await browser.open(stolen.url);
    const thief = await identity.relyingParty("profile-only");
    const callback = new URL(url);
    callback.searchParams.delete("state");
    await assert.rejects(
      client.authorizationCodeGrant(thief.config, callback, { pkceCodeVerifier: "x".repeat(43) }),
      { error: "invalid_grant" },
    );
    await assert.rejects(
      client.authorizationCodeGrant(party.config, callback, { pkceCodeVerifier: "x".repeat(43) }),
      { error: "invalid_grant" },
    );
    const late = await party.begin();
    const shown = await browser.open(late.url);
    mock.timers.enable({ apis: ["Date"], now: Date.now() + 61_000 });
    context.after(() => mock.timers.reset());
    await assert.rejects(late.redeem(shown.url), { error: "invalid_grant" });
  });
});

describe("the token endpoint", () => {
  test("knows no password grant, no implicit refresh, and client credentials only where configured", async () => {
    await using identity = await startIdentityUnderTest();
    const party = await identity.relyingParty();
    await assert.rejects(
      client.genericGrantRequest(party.config, "password", { username: "ada", password: "x" }),
      { error: "unsupported_grant_type" },
    );
    await assert.rejects(client.clientCredentialsGrant(party.config), { error: "invalid_request" });
    const robot = await identity.relyingParty("robot");
    const tokens = await client.clientCredentialsGrant(robot.config, { scope: "tasks:read" });
    const claims = JSON.parse(
      Buffer.from(tokens.access_token.split(".")[1] ?? "", "base64url").toString(),
    ) as Record<string, unknown>;
    assert.equal(claims["sub"], "robot");
    assert.equal(claims["scope"], "tasks:read");
    assert.equal("acr" in claims || "auth_time" in claims || "sid" in claims, false);
    const beyond = await client.clientCredentialsGrant(robot.config, { scope: "tasks:write" });
    assert.equal(beyond.scope, undefined);
  });

  test("refuses a wrong secret, a secret in the query and a public client that pretends to have one", async () => {
    await using identity = await startIdentityUnderTest();
    const post = (body: Record<string, string>, headers: Record<string, string> = {}, query = "") =>
      fetch(`${identity.issuer}/token${query}`, {
        method: "POST",
        headers: { "content-type": "application/x-www-form-urlencoded", ...headers },
        body: new URLSearchParams(body).toString(),
      });
    const grant = { grant_type: "client_credentials" };
    const wrong = await post(grant, { authorization: `Basic ${btoa("robot:wrong")}` });
    assert.equal(wrong.status, 401);
    assert.match(wrong.headers.get("www-authenticate") ?? "", /^Basic realm=/);
    assert.equal((await post(grant, {}, "?client_id=robot&client_secret=x")).status, 400);
    assert.equal((await post({ ...grant, client_id: "page", client_secret: "x" })).status, 401);
    assert.equal((await post({ ...grant, client_id: "page" })).status, 400);
  });
});

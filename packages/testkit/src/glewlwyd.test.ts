import assert from "node:assert/strict";
import { test } from "node:test";
import { startGlewlwyd } from "./glewlwyd.ts";
import { missingProgram } from "./missing-program.ts";

const REDIRECT = "http://localhost:8080/callback";
const RESOURCE = "http://localhost:8080";
// RFC 7636 appendix B.
const VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

test(
  "startGlewlwyd() signs a person in and issues an RFC 9068 access token for the resource",
  { skip: missingProgram("glewlwyd") },
  async () => {
    await using provider = await startGlewlwyd({
      people: [{ name: "ada", password: "correct horse battery" }],
      clients: [{ id: "gateway", secret: "of the gateway", redirectUris: [REDIRECT] }],
      scopes: ["tasks:read"],
      resource: RESOURCE,
    });
    await assert.rejects(provider.signIn("ada", "wrong horse"), /401/);
    const found = await fetch(`${provider.issuer}/.well-known/openid-configuration`);
    const discovery = (await found.json()) as Record<string, string>;
    assert.equal(discovery["issuer"], provider.issuer);

    const ada = await provider.signIn("ada", "correct horse battery");
    const asked = new URL(discovery["authorization_endpoint"] ?? "");
    asked.search = new URLSearchParams({
      response_type: "code",
      client_id: "gateway",
      redirect_uri: REDIRECT,
      scope: "openid tasks:read",
      state: "a state",
      nonce: "a nonce",
      resource: RESOURCE,
      code_challenge: CHALLENGE,
      code_challenge_method: "S256",
    }).toString();
    const back = await ada.authorize(asked.href);
    assert.equal(`${back.origin}${back.pathname}`, REDIRECT);
    assert.equal(back.searchParams.get("state"), "a state");

    const answer = await fetch(discovery["token_endpoint"] ?? "", {
      method: "POST",
      headers: { authorization: `Basic ${btoa("gateway:of the gateway")}` },
      body: new URLSearchParams({
        grant_type: "authorization_code",
        code: back.searchParams.get("code") ?? "",
        redirect_uri: REDIRECT,
        code_verifier: VERIFIER,
        resource: RESOURCE,
      }),
    });
    const tokens = (await answer.json()) as { access_token: string };
    const [header, claims] = tokens.access_token
      .split(".", 2)
      .map((part) => JSON.parse(Buffer.from(part, "base64url").toString()) as object);
    assert.partialDeepStrictEqual(header, { typ: "at+jwt", alg: "RS256" });
    assert.partialDeepStrictEqual(claims, {
      iss: provider.issuer,
      aud: RESOURCE,
      client_id: "gateway",
      scope: "openid tasks:read",
    });
    // What makes it a good stranger: it says neither how nor when the person signed in.
    assert.equal("acr" in (claims as object), false);
    assert.equal("auth_time" in (claims as object), false);
  },
);

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import * as fc from "fast-check";
import { identitySchema } from "../config/identity-schema.ts";
import { REASON, REASON_BY_CODE } from "../judge/reason.ts";
import { authenticateFields, type BrowserFields } from "./authenticate-fields.ts";
import { toChallenges, type Challenges } from "./challenges.ts";

const tokens = { dpopAlgorithms: "ES256 EdDSA", requiresProof: false };
const noTokens = { dpopAlgorithms: undefined, requiresProof: false };
const both: Challenges = { bearerRealm: "tidegate", basicRealm: "task manager", ...tokens };
const onlyBearer: Challenges = { bearerRealm: "tidegate", basicRealm: undefined, ...tokens };
const onlyBasic: Challenges = {
  bearerRealm: undefined,
  basicRealm: "task manager",
  ...noTokens,
};
const program: BrowserFields = {
  authorization: undefined,
  cookie: undefined,
  origin: undefined,
  hasCsrfField: false,
  secFetchMode: undefined,
};

const fields = (
  reason: keyof typeof REASON,
  {
    challenges = both,
    head = program,
    detail,
  }: {
    challenges?: Challenges;
    head?: BrowserFields;
    detail?: unknown;
  } = {},
) => authenticateFields({ challenges, head, refusal: { reason: REASON[reason], detail } });

const BASIC = 'Basic realm="task manager", charset="UTF-8"';
const INVALID =
  'Bearer realm="tidegate", error="invalid_token", error_description="The credential is expired, revoked or not valid here"';

describe("authenticateFields()", () => {
  test("lets nothing of a value end the quotes or the field", () => {
    const hostile = 'a"\\, Basic realm="x\r\nSet-Cookie: a=b\u0000\u0085é';
    const detail = { acr: [hostile], maxAgeSeconds: 300.5, scopes: [hostile] };
    for (const field of [
      ...fields("level_lacking", { detail }),
      ...fields("scope_lacking", { detail }),
      ...fields("credential_missing", {
        challenges: { bearerRealm: hostile, basicRealm: hostile, ...tokens },
      }),
    ]) {
      assert.match(field, /^[\u0020-\u007e]*$/);
      // Once every quoted string is taken away, only names and numbers are left.
      assert.match(
        field.replaceAll(/"[^"]*"/g, "Q"),
        /^(Bearer|Basic) [a-z_]+=(Q|\d+)(, [a-z_]+=(Q|\d+))*$/,
      );
    }
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), fc.string({ unit: "binary" }), (acr, scope) => {
        const [field = ""] = fields("level_lacking", {
          detail: { acr: [acr], maxAgeSeconds: 0, scopes: [scope] },
        });
        assert.match(field, /^[\u0020-\u007e]*$/);
        assert.doesNotMatch(field.replaceAll(/"[^"]*"/g, ""), /["\\]/);
      }),
    );
  });

  test("asks who showed nothing, without an error", () => {
    assert.deepEqual(fields("credential_missing", { challenges: onlyBearer }), [
      'Bearer realm="tidegate"',
    ]);
    assert.deepEqual(fields("credential_missing"), ['Bearer realm="tidegate"', BASIC]);
    assert.deepEqual(fields("credential_missing", { challenges: onlyBasic }), [BASIC]);
  });

  test("leaves Basic out as soon as a page may have made the call, and never sends a 401 without a challenge", () => {
    const pages: Partial<BrowserFields>[] = [
      { cookie: "theme=dark" },
      { cookie: "" },
      { origin: "http://localhost:8080" },
      { origin: "null" },
      { hasCsrfField: true },
      { secFetchMode: "cors" },
      { secFetchMode: "websocket" },
      { secFetchMode: "no-cors" },
    ];
    for (const page of pages) {
      const head = { ...program, ...page };
      const what = JSON.stringify(page);
      assert.deepEqual(fields("credential_missing", { head }), ['Bearer realm="tidegate"'], what);
      assert.deepEqual(
        fields("credential_missing", { head, challenges: onlyBasic }),
        ['Bearer realm="task manager"'],
        what,
      );
      assert.deepEqual(fields("credential_invalid", { head }), [INVALID], what);
    }
    const navigation = { ...program, secFetchMode: "navigate" };
    assert.deepEqual(fields("credential_missing", { head: navigation, challenges: onlyBasic }), [
      BASIC,
    ]);
  });

  test("says one and the same for every bad credential", () => {
    assert.deepEqual(fields("credential_invalid"), [INVALID, BASIC]);
    assert.deepEqual(fields("session_revoked"), [INVALID, BASIC]);
    assert.deepEqual(fields("credential_invalid", { challenges: onlyBasic }), [BASIC]);
    assert.deepEqual(fields("credential_invalid", { challenges: onlyBearer, detail: "expired" }), [
      INVALID,
    ]);
  });

  test("says invalid_request for two credentials", () => {
    assert.deepEqual(fields("credential_ambiguous"), [
      'Bearer realm="tidegate", error="invalid_request", error_description="More than one credential"',
    ]);
  });

  test("names every scope of the route, and does not offer Basic, which could not bring them", () => {
    const detail = { scopes: ["tasks:read", "tasks:write"] };
    assert.deepEqual(fields("scope_lacking", { detail }), [
      'Bearer realm="tidegate", error="insufficient_scope", scope="tasks:read tasks:write"',
    ]);
  });

  test("asks for level and freshness as RFC 9470 says, and for the scope with them", () => {
    const start =
      'Bearer realm="tidegate", error="insufficient_user_authentication", error_description="A stronger or fresher sign-in is needed"';
    const acr = ["phr", "urn:tidegate:acr:pin"];
    assert.deepEqual(
      fields("level_lacking", { detail: { acr, maxAgeSeconds: 300, scopes: ["transfers:write"] } }),
      [`${start}, acr_values="phr urn:tidegate:acr:pin", max_age=300, scope="transfers:write"`],
    );
    assert.deepEqual(
      fields("level_lacking", { detail: { acr, maxAgeSeconds: undefined, scopes: [] } }),
      [`${start}, acr_values="phr urn:tidegate:acr:pin"`],
    );
    assert.deepEqual(
      fields("level_lacking", { detail: { acr: [], maxAgeSeconds: 0, scopes: [] } }),
      [`${start}, max_age=0`],
    );
  });

  test("asks for a credential in every 401 of the table, and in no answer that is not about credentials", () => {
    for (const [code, kind] of REASON_BY_CODE.entries()) {
      const made = authenticateFields({
        challenges: both,
        head: program,
        refusal: { reason: code, detail: undefined },
      });
      if (kind.status === 401) assert.ok(made.length > 0, kind.name);
      if (kind.status === 429 || kind.status >= 500) assert.deepEqual(made, [], kind.name);
    }
  });
});

describe("authenticateFields(): proofs of possession (RFC 9449)", () => {
  const byProof = { ...program, authorization: "DPoP a.b.c" };
  const wanted = { isProofWanted: true, nonce: "" };

  test("answers who came with a proof in that scheme alone", () => {
    assert.deepEqual(fields("credential_invalid", { head: byProof, challenges: onlyBearer }), [
      'DPoP error="invalid_token", algs="ES256 EdDSA"',
    ]);
    assert.deepEqual(
      fields("credential_invalid", {
        head: byProof,
        challenges: onlyBearer,
        detail: { ...wanted, nonce: "n-1" },
      }),
      ['DPoP error="use_dpop_nonce", algs="ES256 EdDSA"'],
    );
    assert.deepEqual(
      fields("scope_lacking", { head: byProof, detail: { scopes: ["tasks:read"] } }),
      ['DPoP realm="tidegate", error="insufficient_scope", scope="tasks:read", algs="ES256 EdDSA"'],
    );
    assert.deepEqual(
      fields("level_lacking", {
        head: byProof,
        detail: { acr: ["phr"], maxAgeSeconds: 300, scopes: [] },
      }),
      [
        'DPoP realm="tidegate", error="insufficient_user_authentication", error_description="A stronger or fresher sign-in is needed", acr_values="phr", max_age=300, algs="ES256 EdDSA"',
      ],
    );
  });

  test("tells who shows a bound token as a plain one what it must do", () => {
    assert.deepEqual(fields("credential_invalid", { challenges: onlyBearer, detail: wanted }), [
      INVALID,
      'DPoP error="invalid_token", algs="ES256 EdDSA"',
    ]);
  });

  test("asks for nothing but a proof where plain tokens are of no use", () => {
    const challenges = { ...onlyBearer, requiresProof: true };
    assert.deepEqual(fields("credential_missing", { challenges }), [
      'DPoP realm="tidegate", algs="ES256 EdDSA"',
    ]);
    assert.deepEqual(fields("credential_missing", { challenges: onlyBearer }), [
      'Bearer realm="tidegate"',
    ]);
  });

  test("knows no such scheme where no issuer of tokens vouches", () => {
    assert.deepEqual(fields("credential_invalid", { head: byProof, challenges: onlyBasic }), [
      BASIC,
    ]);
  });
});

test("toChallenges() asks for what a route's issuers can check", () => {
  const people = { kind: "oidc", issuer: "https://people.test", audience: "api" };
  const identity = {
    people: identitySchema.parse(people),
    bound: identitySchema.parse({ ...people, dpop: { required: true, algorithms: ["ES384"] } }),
    google: identitySchema.parse({ ...people, tokenFormat: "session-only" }),
    passwords: identitySchema.parse({
      ...people,
      basic: { endpoint: "https://people.test/basic", realm: "people" },
    }),
    programs: identitySchema.parse({ kind: "api-keys", file: "keys.json" }),
    staff: identitySchema.parse({ kind: "users-file", file: "users.json", realm: "staff" }),
  };
  const of = (...by: string[]) =>
    toChallenges({ auth: { by, scopes: [], acr: [], maxAgeSeconds: undefined } }, { identity });
  const none: Challenges = { bearerRealm: undefined, basicRealm: undefined, ...noTokens };
  const bearer: Challenges = { ...none, bearerRealm: "tidegate" };
  assert.deepEqual(of("people"), { ...bearer, ...tokens });
  assert.deepEqual(of("staff"), { ...none, basicRealm: "staff" });
  assert.deepEqual(of("staff", "people"), { ...bearer, ...tokens, basicRealm: "staff" });
  assert.deepEqual(of("bound"), { ...bearer, dpopAlgorithms: "ES384", requiresProof: true });
  assert.deepEqual(of("bound", "people"), {
    ...bearer,
    ...tokens,
    dpopAlgorithms: "ES384 ES256 EdDSA",
  });
  assert.deepEqual(of("google"), none);
  assert.deepEqual(of("passwords"), { ...bearer, ...tokens, basicRealm: "people" });
  assert.deepEqual(of("programs"), bearer);
  assert.deepEqual(toChallenges({ auth: "none" }, { identity }), none);
});

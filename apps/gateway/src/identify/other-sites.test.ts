import assert from "node:assert/strict";
import { describe, test } from "node:test";
import * as fc from "fast-check";
import type { RequestHead } from "../accept/request-head.ts";
import { CALL_KIND } from "../judge/call.ts";
import { isFromForbiddenSite } from "./other-sites.ts";
import { hasSessionCookie, kindOfCredential, credentialText } from "./presented-credential.ts";

const OURS = "http://localhost:8080";
const FRIEND = "https://app.example";
const FOREIGN = "https://attacker.example";
const COOKIE = { cookie: "theme=dark; __Host-tidegate=abc" };
const BASIC = { authorization: "Basic YWRhOnNlY3JldA==" };
const BEARER = { authorization: "Bearer abc" };

const isForbidden = (
  kind: "request" | "handshake",
  method: string,
  changes: Partial<RequestHead>,
): boolean =>
  isFromForbiddenSite({
    head: {
      method,
      authorization: undefined,
      cookie: undefined,
      origin: undefined,
      secFetchSite: undefined,
      hasCsrfField: false,
      ...changes,
    } as RequestHead,
    route: { config: { origins: [FRIEND] } as never },
    kind: CALL_KIND[kind],
    allowedOrigins: new Set([OURS]),
  });

describe("isFromForbiddenSite(): handshakes", () => {
  test("refuses every Origin but exactly the allowed ones, whatever the credential", () => {
    const foreign = [
      FOREIGN,
      "null",
      "",
      "http://localhost:8081",
      "http://localhost",
      "https://localhost:8080",
      "http://localhost:8080/",
      "HTTP://LOCALHOST:8080",
      "http://localhost:8080.attacker.example",
      "http://sub.localhost:8080",
      "https://app.example.attacker.example",
      "https://attacker.example/https://app.example",
      "https://app.example, https://attacker.example",
    ];
    for (const origin of foreign) {
      for (const credential of [{}, BEARER, BASIC, COOKIE]) {
        assert.equal(isForbidden("handshake", "GET", { ...credential, origin }), true, origin);
      }
    }
    for (const origin of [OURS, FRIEND]) {
      for (const credential of [{}, BEARER, BASIC, COOKIE]) {
        assert.equal(isForbidden("handshake", "GET", { ...credential, origin }), false, origin);
      }
    }
  });

  test("lets programs without Origin in, unless they carry the cookie", () => {
    assert.equal(isForbidden("handshake", "GET", {}), false);
    assert.equal(isForbidden("handshake", "GET", BEARER), false);
    assert.equal(isForbidden("handshake", "GET", BASIC), false);
    assert.equal(isForbidden("handshake", "GET", COOKIE), true);
  });
});

describe("isFromForbiddenSite(): unsafe requests", () => {
  test("with the cookie need an allowed Origin and the field that forms cannot send", () => {
    for (const method of ["POST", "PUT", "PATCH", "DELETE", "PROPFIND"]) {
      const good = { ...COOKIE, origin: OURS, hasCsrfField: true };
      assert.equal(isForbidden("request", method, good), false, method);
      assert.equal(isForbidden("request", method, { ...good, origin: FRIEND }), false, method);
      assert.equal(isForbidden("request", method, { ...good, hasCsrfField: false }), true, method);
      assert.equal(isForbidden("request", method, { ...good, origin: undefined }), true, method);
      assert.equal(isForbidden("request", method, { ...good, origin: FOREIGN }), true, method);
      assert.equal(isForbidden("request", method, { ...good, origin: "null" }), true, method);
    }
  });

  test("with Basic are refused from other sites, and need nothing more from programs", () => {
    assert.equal(isForbidden("request", "POST", BASIC), false);
    assert.equal(isForbidden("request", "POST", { ...BASIC, origin: OURS }), false);
    assert.equal(isForbidden("request", "POST", { ...BASIC, origin: FOREIGN }), true);
    assert.equal(isForbidden("request", "POST", { ...BASIC, origin: "null" }), true);
    assert.equal(isForbidden("request", "POST", { ...BASIC, secFetchSite: "cross-site" }), true);
    assert.equal(isForbidden("request", "POST", { ...BASIC, secFetchSite: "same-site" }), true);
    const cased = { authorization: "bAsIc YWRhOnNlY3JldA==", origin: FOREIGN };
    assert.equal(isForbidden("request", "POST", cased), true);
  });
});

describe("isFromForbiddenSite(): safe requests", () => {
  test("with something ambient are refused when another site made them, unless it is allowed", () => {
    for (const credential of [COOKIE, BASIC]) {
      for (const method of ["GET", "HEAD", "OPTIONS"]) {
        const ask = (changes: Partial<RequestHead>) =>
          isForbidden("request", method, { ...credential, ...changes });
        assert.equal(ask({ secFetchSite: "cross-site" }), true);
        assert.equal(ask({ secFetchSite: "same-site" }), true);
        assert.equal(ask({ secFetchSite: "cross-site", origin: FOREIGN }), true);
        assert.equal(ask({ secFetchSite: "cross-site", origin: FRIEND }), false);
        assert.equal(ask({ secFetchSite: "same-origin" }), false);
        assert.equal(ask({ secFetchSite: "none" }), false);
        assert.equal(ask({}), false);
      }
    }
  });
});

test("isFromForbiddenSite() lets people follow links to navigable routes, as a whole page and reading only", () => {
  const ask = (method: string, changes: Partial<RequestHead>, navigable = true): boolean =>
    isFromForbiddenSite({
      head: { method, ...COOKIE, secFetchSite: "cross-site", ...changes } as RequestHead,
      route: { config: { origins: [], cors: undefined, navigable } },
      kind: CALL_KIND.request,
      allowedOrigins: new Set([OURS]),
    });
  const link = { secFetchMode: "navigate", secFetchDest: "document" };
  assert.equal(ask("GET", link), false);
  assert.equal(ask("GET", { ...link, secFetchSite: "same-site" }), false);
  assert.equal(ask("GET", link, false), true);
  assert.equal(ask("GET", { ...link, secFetchDest: "iframe" }), true);
  assert.equal(ask("GET", { ...link, secFetchDest: "embed" }), true);
  assert.equal(ask("GET", { secFetchMode: "no-cors", secFetchDest: "image" }), true);
  assert.equal(ask("GET", { secFetchMode: "cors", secFetchDest: "empty" }), true);
  assert.equal(ask("GET", {}), true);
  for (const origin of [FOREIGN, "null", undefined])
    assert.equal(ask("POST", { ...link, origin }), true);
});

test("isFromForbiddenSite() takes an origin of CORS for allowed only where it may bring credentials", () => {
  const ask = (cors: object): boolean =>
    isFromForbiddenSite({
      head: { method: "PUT", ...COOKIE, origin: FRIEND, hasCsrfField: true } as RequestHead,
      route: { config: { origins: [], cors: cors as never, navigable: false } },
      kind: CALL_KIND.request,
      allowedOrigins: new Set([OURS]),
    });
  assert.equal(ask({ origins: [FRIEND], credentials: true }), false);
  assert.equal(ask({ origins: [FRIEND], credentials: false }), true);
  assert.equal(ask({ origins: ["*"], credentials: false }), true);
});

test("isFromForbiddenSite() does not touch requests with a bearer token or nothing, wherever they come from", () => {
  fc.assert(
    fc.property(
      fc.constantFrom("GET", "POST", "DELETE"),
      fc.option(fc.constantFrom(FOREIGN, OURS, "null"), { nil: undefined }),
      fc.option(fc.constantFrom("cross-site", "same-site", "none"), { nil: undefined }),
      fc.constantFrom({}, BEARER, { cookie: "theme=dark" }),
      (method, origin, secFetchSite, credential) => {
        assert.equal(
          isForbidden("request", method, { ...credential, origin, secFetchSite }),
          false,
        );
      },
    ),
  );
});

describe("presented credential", () => {
  test("hasSessionCookie() knows our cookie among others, and no other by its likeness", () => {
    const ours = [
      "__Host-tidegate=a",
      "a=b; __Host-tidegate=a",
      "a=b;__Host-tidegate=",
      " __Host-tidegate=a; b=c",
      "x__Host-tidegate=1; __Host-tidegate=a",
      "a=b;\t__Host-tidegate=a",
    ];
    const others = [
      "",
      "__Host-tidegate",
      "__Host-tidegate-flow=a",
      "x__Host-tidegate=a",
      "a=__Host-tidegate=b",
      "__host-tidegate=a",
      "a=b; x=__Host-tidegate",
    ];
    for (const cookie of ours) assert.equal(hasSessionCookie(cookie), true, cookie);
    for (const cookie of others) assert.equal(hasSessionCookie(cookie), false, cookie);
    assert.equal(hasSessionCookie(undefined), false);
  });

  test("kindOfCredential() finds two at once ambiguous, and reads schemes without case", () => {
    const kind = (authorization?: string, cookie?: string) =>
      kindOfCredential({ authorization, cookie });
    assert.equal(kind("Bearer a", COOKIE.cookie), "ambiguous");
    assert.equal(kind("Basic a", COOKIE.cookie), "ambiguous");
    assert.equal(kind("", COOKIE.cookie), "ambiguous");
    assert.equal(kind(undefined, COOKIE.cookie), "session");
    assert.equal(kind("Bearer a", "theme=dark"), "bearer");
    assert.equal(kind("bEaReR a"), "bearer");
    assert.equal(kind("BASIC a"), "basic");
    assert.equal(kind("Bearer"), "bearer");
    for (const other of ["", "Digest a", "Bearera b", "Bearer,Basic a", "Negotiate", " Bearer a"]) {
      assert.equal(kind(other), "other", other);
    }
    assert.equal(kind(), "none");
  });

  test("credentialText() takes what stands behind the scheme, once", () => {
    assert.equal(credentialText("Bearer abc"), "abc");
    assert.equal(credentialText("Bearer   abc"), "abc");
    assert.equal(credentialText("Bearer abc def"), "abc def");
    assert.equal(credentialText("Bearer abc "), "abc ");
    assert.equal(credentialText("Bearer"), "");
    assert.equal(credentialText("Bearer "), "");
  });
});

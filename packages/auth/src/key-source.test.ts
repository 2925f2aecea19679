import assert from "node:assert/strict";
import type { ServerResponse } from "node:http";
import { describe, test } from "node:test";
import { manualClock } from "@tidegate/clock";
import { waitFor } from "@tidegate/testkit";
import { jsonServer } from "../test/json-server.ts";
import { createAccessTokenVerifier } from "./access-token-verifier.ts";
import {
  AUDIENCE,
  outcome,
  random,
  RSA,
  setUpVerifier,
  START_MS,
} from "../test/access-token-fixture.ts";

describe("access token: discovery", () => {
  test("keys are not taken from metadata of another issuer, by redirect, from afar in clear, or without bound", async () => {
    const hostile: Record<string, (t: Awaited<ReturnType<typeof setUpVerifier>>) => void> = {
      "another issuer": (t) => {
        t.server.documents.set("/.well-known/openid-configuration", {
          ...t.discovery,
          issuer: `${t.issuer}/`,
        });
      },
      "keys in clear from afar": (t) => {
        t.server.documents.set("/.well-known/openid-configuration", {
          ...t.discovery,
          jwks_uri: "http://keys.example/",
        });
      },
      "keys from a file": (t) => {
        t.server.documents.set("/.well-known/openid-configuration", {
          ...t.discovery,
          jwks_uri: "file:///etc/passwd",
        });
      },
      redirect: (t) => {
        t.server.documents.set("/elsewhere", { keys: [RSA.jwk] });
        t.server.documents.set("/keys", (response: ServerResponse) =>
          response.writeHead(302, { location: "/elsewhere" }).end(),
        );
      },
      "endless keys": (t) => {
        t.server.documents.set("/keys", { keys: [RSA.jwk], padding: "x".repeat(300_000) });
      },
      "too many keys": (t) => {
        t.server.documents.set("/keys", { keys: Array.from({ length: 65 }, () => RSA.jwk) });
      },
      "a list": (t) => void t.server.documents.set("/keys", [RSA.jwk]),
      "an error page": (t) => {
        t.server.documents.set("/keys", (response: ServerResponse) =>
          response.writeHead(500).end(JSON.stringify({ keys: [RSA.jwk] })),
        );
      },
    };
    for (const [what, prepare] of Object.entries(hostile)) {
      await using t = await setUpVerifier();
      prepare(t);
      assert.equal(outcome(await t.present(t.sign())), "unavailable", what);
      assert.ok(!t.server.requests.includes("/elsewhere"), what);
      // Refused before it is asked, not because it does not answer.
      assert.ok(
        t.asked.every((url) => url.startsWith(`${t.issuer}/`)),
        `${what}: ${t.asked.join(" ")}`,
      );
    }
  });

  test("an issuer elsewhere cannot make us ask our own machine for keys", async () => {
    const asked: string[] = [];
    const verifier = createAccessTokenVerifier({
      issuer: "https://issuer.example",
      audience: AUDIENCE,
      algorithms: ["RS256"],
      tokenTypes: ["at+jwt"],
      clockToleranceSeconds: 5,
      maxTokenLifetimeSeconds: 3_600,
      maxKeyAgeMs: 3_600_000,
      clock: manualClock(START_MS),
      random,
      fetch(url) {
        asked.push(url.href);
        const metadata = { issuer: "https://issuer.example", jwks_uri: "http://127.0.0.1:9090/" };
        return Promise.resolve(Response.json(metadata));
      },
      onKeyLoad: ({ error }) => void failures.push(String(error)),
    });
    const failures: string[] = [];
    verifier.start();
    await waitFor(() => failures.length === 1, { what: "the failed load" });
    assert.match(failures[0] ?? "", /jwks_uri is on a loopback address/);
    assert.deepEqual(asked, ["https://issuer.example/.well-known/openid-configuration"]);
    verifier[Symbol.dispose]();
  });

  test("metadata is found as OpenID Connect says, else as RFC 8414 says, with the issuer's path", async () => {
    const server = await jsonServer();
    await using _ = server;
    const issuer = `${server.url.origin}/realm/one`;
    server.documents.set("/.well-known/oauth-authorization-server/realm/one", {
      issuer,
      jwks_uri: `${server.url.origin}/keys`,
    });
    server.documents.set("/keys", { keys: [RSA.jwk] });
    const verifier = createAccessTokenVerifier({
      issuer,
      audience: AUDIENCE,
      algorithms: ["RS256"],
      tokenTypes: ["at+jwt"],
      clockToleranceSeconds: 5,
      maxTokenLifetimeSeconds: 3_600,
      maxKeyAgeMs: 3_600_000,
      clock: manualClock(START_MS),
      random,
    });
    verifier.start();
    await waitFor(() => verifier.isReady, { what: "the keys" });
    assert.deepEqual(server.requests, [
      "/realm/one/.well-known/openid-configuration",
      "/.well-known/oauth-authorization-server/realm/one",
      "/keys",
    ]);
    verifier[Symbol.dispose]();
  });

  test("createAccessTokenVerifier() refuses issuers in clear text from afar, with query or with credentials", () => {
    for (const issuer of [
      "http://issuer.example",
      "http://127.0.0.1.attacker.example",
      "http://localhost.attacker.example",
      "https://user:secret@issuer.example",
      "https://issuer.example/?a=1",
      "ftp://issuer.example",
    ]) {
      assert.throws(
        () =>
          createAccessTokenVerifier({
            issuer,
            audience: AUDIENCE,
            algorithms: ["RS256"],
            tokenTypes: ["at+jwt"],
            clockToleranceSeconds: 5,
            maxTokenLifetimeSeconds: 3_600,
            maxKeyAgeMs: 3_600_000,
            clock: manualClock(START_MS),
            random,
          }),
        /^Error: Cannot use/,
        issuer,
      );
    }
  });
});

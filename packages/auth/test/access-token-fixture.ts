// What tests of access tokens share: an issuer whose documents they write, and a verifier in front of it.

import { manualClock, type Random } from "@tidegate/clock";
import { jsonServer } from "./json-server.ts";
import { makeKey, makeToken } from "./tokens.ts";
import { createAccessTokenVerifier } from "../src/access-token-verifier.ts";
import type { ClaimNames } from "../src/principal-claims.ts";
import { tokenFingerprint } from "../src/token-memory.ts";
import { parseToken } from "../src/token-shape.ts";
import type { Verification } from "../src/verification.ts";

export const START_MS = 1_800_000_000_000;
export const NOW = START_MS / 1_000;
export const AUDIENCE = "https://api.test";
export const random: Random = { bytes: (count) => Buffer.alloc(count), unit: () => 0.5 };
export const RSA = makeKey("RS256", "rsa");
export const STRANGER = makeKey("RS256", "rsa");

const NO_NAMES: Partial<ClaimNames> = {};

/** A verifier in front of an issuer whose documents the test writes. */
export async function setUpVerifier({
  tokenTypes = ["at+jwt"],
  otherAudiences = [] as string[],
  maxKeyAgeMs = 3_600_000,
  keys = [RSA.jwk] as readonly unknown[],
  names = NO_NAMES,
} = {}) {
  const clock = manualClock(START_MS);
  const server = await jsonServer();
  const issuer = server.url.origin;
  const discovery = { issuer, jwks_uri: `${issuer}/keys` };
  server.documents.set("/.well-known/openid-configuration", discovery);
  server.documents.set("/keys", { keys });
  const asked: string[] = [];
  const verifier = createAccessTokenVerifier({
    issuer,
    audience: AUDIENCE,
    otherAudiences,
    fetch(url, init) {
      asked.push(url.href);
      return fetch(url, init);
    },
    algorithms: ["RS256", "PS256", "ES256", "ES512", "EdDSA"],
    tokenTypes,
    clockToleranceSeconds: 5,
    maxTokenLifetimeSeconds: 3_600,
    maxKeyAgeMs,
    clock,
    random,
    ...names,
  });
  const claims = {
    iss: issuer,
    sub: "ada",
    aud: AUDIENCE,
    client_id: "web",
    iat: NOW,
    exp: NOW + 300,
    jti: "1",
  };
  const header = { alg: "RS256", typ: "at+jwt", kid: "rsa" };
  const present = async (text: string): Promise<Verification> => {
    const fingerprint = tokenFingerprint(text);
    const parts = parseToken(text);
    if (parts === undefined) return { outcome: "invalid", why: "shape" };
    return (
      verifier.recall(fingerprint) ??
      verifier.verify({ text, parts, fingerprint }, AbortSignal.timeout(10_000))
    );
  };
  return {
    clock,
    server,
    asked,
    issuer,
    discovery,
    verifier,
    claims,
    header,
    present,
    sign: (changes: object = {}, headerChanges: object = {}) =>
      makeToken({ ...header, ...headerChanges }, { ...claims, ...changes }, RSA.privateKey),
    jwksFetches: () => server.requests.filter((path) => path === "/keys").length,
    async [Symbol.asyncDispose]() {
      verifier[Symbol.dispose]();
      await server[Symbol.asyncDispose]();
    },
  };
}

export const outcome = (result: Verification): string =>
  result.outcome === "invalid" ? result.why : result.outcome;

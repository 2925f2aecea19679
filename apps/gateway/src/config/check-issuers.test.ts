import assert from "node:assert/strict";
import { test } from "node:test";
import { ConfigError } from "./config-error.ts";
import { validateConfig } from "./load-config.ts";

const client = { id: "gateway", secret: "secret" };
const people = { kind: "oidc", issuer: "https://people.test", audience: "https://api.test" };

/** What is wrong with providers, as `path: reason`; warnings begin with a question mark. */
function findingsOf(identity: Record<string, object>): string[] {
  const config = {
    identity,
    upstreams: { tasks: { targets: ["http://127.0.0.1:4101"] } },
    routes: [{ path: "/**", to: "tasks", auth: { by: Object.keys(identity) } }],
  };
  try {
    const { warnings } = validateConfig(config, { folder: "/folder" });
    return warnings.map(({ path, reason }) => `?${path.join(".")}: ${reason}`);
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error));
    return error.mistakes.map(({ path, reason }) => `${path.join(".")}: ${reason}`);
  }
}

const cases: [string, Record<string, object>, RegExp | undefined][] = [
  [
    "no audience",
    { people: { ...people, audience: undefined } },
    /^identity\.people\.audience: is missing/,
  ],
  [
    "no audience, for sessions alone",
    { people: { ...people, audience: undefined, tokenFormat: "session-only" } },
    undefined,
  ],
  [
    "Google without audience",
    { people: { ...people, audience: undefined, preset: "google" } },
    undefined,
  ],
  [
    "opaque without introspection",
    { people: { ...people, tokenFormat: "opaque" } },
    /tokenFormat: is "opaque"/,
  ],
  [
    "introspection without a secret",
    { people: { ...people, introspection: {}, client: { id: "x" } } },
    /introspection: needs `client`/,
  ],
  [
    "Basic without a client",
    { people: { ...people, basic: { endpoint: "https://people.test/basic" } } },
    /basic: needs `client`/,
  ],
  [
    "introspection where nobody shows a token",
    { people: { ...people, preset: "google", introspection: {}, client } },
    /introspection: has nobody's tokens/,
  ],
  [
    "ID tokens would pass",
    { people: { ...people, preset: "auth0", client: { ...client, id: people.audience } } },
    /audience: is the client's id/,
  ],
  [
    "… not where typ tells them apart",
    { people: { ...people, client: { ...client, id: people.audience } } },
    undefined,
  ],
  [
    "two of one issuer and audience",
    { people, again: people },
    /identity\.again: has the issuer and audience of `people`/,
  ],
  [
    "two of one issuer, by audience",
    { people, other: { ...people, audience: "https://bank.test" } },
    undefined,
  ],
  [
    "two that are asked on one route",
    {
      people: { ...people, introspection: {}, client },
      partners: { ...people, issuer: "https://partners.test", introspection: {}, client },
    },
    /^\?routes\.0\.auth\.by: has several providers that are asked/,
  ],
  [
    "a key in a field that means something else",
    { keys: { kind: "api-keys", file: "k.json", header: "cookie" } },
    /header: is a field with a meaning of its own/,
  ],
  [
    "a secret sent in clear text",
    { people: { ...people, introspection: { endpoint: "http://people.test/i" }, client } },
    /endpoint: is plain http/,
  ],
];

for (const [what, identity, expected] of cases) {
  await test(`providers: ${what}`, () => {
    const found = findingsOf(identity);
    if (expected === undefined) assert.deepEqual(found, []);
    else {
      assert.equal(found.length, 1, found.join("; "));
      assert.match(found[0] ?? "", expected);
    }
  });
}

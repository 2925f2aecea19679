import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { describe, test } from "node:test";
import { identitySchema } from "./identity-schema.ts";
import { PROVIDER_PRESETS } from "./provider-preset-names.ts";
import { presetValues } from "./provider-presets.ts";
import { auth0, embedded, google, keycloak, okta } from "./providers.ts";

const issuer = "https://provider.test";
const audience = "https://api.test";
const page = new URL("../../../../docs/providers/README.md", import.meta.url);

describe("provider presets", () => {
  test("set what docs/providers/README.md says, no more and no less", async () => {
    const lines = (await readFile(page, "utf8")).split("\n");
    const start = lines.findIndex((line) => line.startsWith("| preset"));
    const cells = (line: string) =>
      line
        .split("|")
        .slice(1, -1)
        .map((cell) => cell.trim());
    const [, ...keys] = cells(lines[start] ?? "");
    const seen: string[] = [];
    for (let at = start + 2; lines[at]?.startsWith("|"); at++) {
      const [first = "", ...said] = cells(lines[at] ?? "");
      const preset = PROVIDER_PRESETS.find((name) => first === `\`${name}\``);
      assert.ok(preset !== undefined || first === "none", first);
      seen.push(preset ?? "none");
      const values = presetValues(preset, { issuer, audience, introspection: undefined });
      assert.equal(values.acrMap, undefined);
      for (const [column, key] of keys.entries()) {
        assert.equal(asOnPage(values[key as keyof typeof values]), said[column], `${first} ${key}`);
      }
    }
    assert.deepEqual(seen, ["none", ...PROVIDER_PRESETS]);
  });

  test("give way to whatever is written", () => {
    for (const preset of PROVIDER_PRESETS) {
      const written = {
        kind: "oidc",
        issuer,
        audience,
        otherAudiences: ["x"],
        tokenFormat: "jwt",
        tokenTypes: ["x"],
        scopeClaim: "x",
        clientClaim: "x",
        acrMap: { a: "b" },
        authTimeFrom: "custom:x",
        signOutMode: "local",
      } as const;
      const decided = identitySchema.parse({ ...written, preset });
      assert.deepEqual({ ...decided, ...written }, decided, preset);
    }
  });

  test("ask the provider about what is no JWT as soon as that is configured, but for sessions alone", () => {
    const formats = PROVIDER_PRESETS.map(
      (preset) =>
        presetValues(preset, { issuer, audience, introspection: {} as never }).tokenFormat,
    );
    assert.deepEqual(formats, ["any", "session-only", "any", "any", "any"]);
  });

  test("have functions that make the issuer as the provider writes it", () => {
    assert.deepEqual(
      [
        auth0({ domain: "shop.eu.auth0.com", audience }),
        google(),
        keycloak({ url: "https://sso.test/", realm: "my shop", audience }),
        okta({ domain: "shop.okta.com" }),
        okta({ domain: "shop.okta.com", authorizationServer: "aus1", audience }),
        embedded({ audience }),
      ].map((made) => [made.preset, made.issuer, made.audience]),
      [
        ["auth0", "https://shop.eu.auth0.com/", audience],
        ["google", "https://accounts.google.com", undefined],
        ["keycloak", "https://sso.test/realms/my%20shop", audience],
        ["okta", "https://shop.okta.com/oauth2/default", "api://default"],
        ["okta", "https://shop.okta.com/oauth2/aus1", audience],
        ["embedded", "http://localhost:8081", audience],
      ],
    );
  });
});

/** A value as the page writes it. */
function asOnPage(value: string | readonly string[] | Record<string, string> | undefined): string {
  if (value === undefined) return "";
  const parts =
    typeof value === "string"
      ? [value]
      : Array.isArray(value)
        ? (value as readonly string[])
        : Object.entries(value).map(([name, one]) => `${name}=${one}`);
  return parts
    .map((part) => part.replaceAll(audience, "<audience>").replaceAll(issuer, "<issuer>"))
    .map((part) => `\`${part}\``)
    .join(", ");
}

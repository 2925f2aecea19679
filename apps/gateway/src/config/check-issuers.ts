import type { Draft } from "./draft.ts";
import type { Findings } from "./findings.ts";
import { presetValues } from "./provider-presets.ts";
import type { GatewayConfig, GatewayConfigInput } from "./schema.ts";

type Written = Extract<NonNullable<GatewayConfigInput["identity"]>[string], { kind: "oidc" }>;

/** Providers: what several of their keys must be together, and against each other. */
export function checkIssuers(
  { identity = {}, routes = [] }: Draft<GatewayConfig>,
  findings: Findings,
): void {
  for (const [index, route] of routes.entries()) {
    const by = typeof route?.auth === "object" ? (route.auth.by ?? []) : [];
    const asked = by.filter((name) => {
      const issuer = name === undefined ? undefined : identity[name];
      return issuer?.kind === "oidc" && issuer.introspection !== undefined;
    });
    if (asked.length < 2) continue;
    const reason = `has several providers that are asked about tokens (${asked.join(", ")}): a token of one is shown to the others`;
    findings.warning(["routes", index, "auth", "by"], reason);
  }
  const seen = new Map<string, string>();
  for (const [name, issuer] of Object.entries(identity)) {
    if (issuer?.kind !== "oidc") continue;
    // A draft is what was written: nothing of a preset is in it yet.
    const written: Draft<Written> = issuer;
    checkTokens(name, written, findings);
    checkClient(name, written, findings);
    checkBrowser(name, written, findings);
    if (written.issuer === undefined || written.audience === undefined) continue;
    const key = JSON.stringify([written.issuer, written.audience]);
    const first = seen.get(key);
    if (first === undefined) seen.set(key, name);
    else {
      const reason = `has the issuer and audience of \`${first}\`, so nobody could say whose a token is`;
      findings.mistake(["identity", name], reason);
    }
  }
}

function checkTokens(name: string, written: Draft<Written>, findings: Findings): void {
  const { preset, issuer = "", audience, introspection, client } = written;
  const defaults = presetValues(preset, { issuer, audience, introspection: undefined });
  const asks = introspection !== undefined;
  const format =
    written.tokenFormat ?? (asks && defaults.tokenFormat === "jwt" ? "any" : defaults.tokenFormat);
  if (format === "session-only") {
    if (asks)
      findings.mistake(
        ["identity", name, "introspection"],
        "has nobody's tokens to ask about: callers show none here",
      );
    return;
  }
  if (audience === undefined) findings.mistake(["identity", name, "audience"], "is missing");
  if (!asks && format !== "jwt") {
    findings.mistake(
      ["identity", name, "tokenFormat"],
      `is ${JSON.stringify(format)}, and nobody can be asked about such tokens without \`introspection\``,
    );
  }
  // With a loose `typ` nothing but the audience tells an ID token from an access token, and an ID token's is the client.
  const types = (written.tokenTypes ?? defaults.tokenTypes).map((type) => type?.toLowerCase());
  const isLoose = types.includes("jwt") || types.includes("absent");
  if (audience !== undefined && audience === client?.id && isLoose) {
    findings.mistake(
      ["identity", name, "audience"],
      "is the client's id, which is the audience of ID tokens: they would pass as access tokens",
    );
  }
}

function checkBrowser(name: string, { browser, client }: Draft<Written>, findings: Findings): void {
  if (browser === undefined) return;
  const path = ["identity", name, "browser"];
  if (client === undefined)
    findings.mistake(path, "needs `client`: the gateway signs people in under its own name");
  if (browser.scopes !== undefined && !browser.scopes.includes("openid"))
    findings.mistake(
      [...path, "scopes"],
      "lacks `openid`, without which nobody says who signed in",
    );
}

function checkClient(
  name: string,
  { client, ...written }: Draft<Written>,
  findings: Findings,
): void {
  if (client?.secret !== undefined) return;
  for (const key of ["introspection", "basic"] as const) {
    if (written[key] === undefined) continue;
    const reason = "needs `client` with a `secret`: the provider answers nobody else";
    findings.mistake(["identity", name, key], reason);
  }
}

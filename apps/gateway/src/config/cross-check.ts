import { isLoopback } from "./address.ts";
import { checkIssuers } from "./check-issuers.ts";
import { checkLimits } from "./check-limits.ts";
import { checkRoutes } from "./check-routes.ts";
import type { ConfigPath } from "./config-error.ts";
import type { Draft } from "./draft.ts";
import { Findings } from "./findings.ts";
import type { GatewayConfig } from "./schema.ts";

/**
 * What several keys must be together. Works on what could be understood of a configuration, so it runs always.
 * @param broken paths that the schema has refused
 */
export function crossCheck(config: Draft<GatewayConfig>, broken: readonly ConfigPath[]): Findings {
  const findings = new Findings();
  checkListeners(config, findings);
  checkIssuers(config, findings);
  checkSessions(config, findings);
  checkRoutes(config, broken, findings);
  checkLimits(config, findings);
  checkTransmitters(config, findings);
  checkUnused(config, findings);
  return findings;
}

function checkListeners({ listen, admin }: Draft<GatewayConfig>, findings: Findings): void {
  const samePort = listen?.port !== undefined && listen.port !== 0 && listen.port === admin?.port;
  if (samePort) findings.mistake(["admin", "port"], "is the port of the public listener too");

  if (admin?.host !== undefined && !isLoopback(admin.host)) {
    if (admin.dangerouslyListenBeyondLoopback === true) {
      findings.warning(
        ["admin", "host"],
        "lets other machines reach the admin listener: whoever sees its traffic has its token",
      );
    } else {
      findings.mistake(
        ["admin", "host"],
        "lets other machines reach the admin listener, which speaks plain HTTP; " +
          "keep it on loopback, or set `dangerouslyListenBeyondLoopback: true`",
        ["127.0.0.1", "::1", "localhost"],
      );
    }
  }

  if (listen?.host === undefined || isLoopback(listen.host)) return;
  if (listen.publicUrl?.startsWith("https:") !== true) {
    findings.warning(
      ["listen", "host"],
      "lets other machines in over plain HTTP: passwords and tokens can be read on the way; " +
        "put a proxy with TLS in front and name it in `listen.publicUrl`",
    );
  }
}

function checkSessions(
  { listen, identity = {}, sessions }: Draft<GatewayConfig>,
  findings: Findings,
): void {
  const { idleTimeoutSeconds: idle, absoluteTimeoutSeconds: absolute } = sessions ?? {};
  if (idle !== undefined && absolute !== undefined && idle > absolute)
    findings.mistake(
      ["sessions", "idleTimeoutSeconds"],
      `is longer than \`absoluteTimeoutSeconds\` (${absolute}), so it never comes`,
    );
  const url = URL.parse(listen?.publicUrl ?? "http://localhost");
  const hasBrowser = Object.values(identity).some(
    (issuer) => issuer?.kind === "oidc" && issuer.browser !== undefined,
  );
  // RFC 6265bis §5.7: without TLS a browser does not take a `Secure` cookie, but from its own machine.
  if (hasBrowser && url?.protocol === "http:" && !isLoopback(url.hostname))
    findings.mistake(
      ["listen", "publicUrl"],
      "is plain http, from which browsers take no session cookie; people could not sign in",
    );
}

function checkTransmitters(
  { revocation, identity = {} }: Draft<GatewayConfig>,
  findings: Findings,
): void {
  const providers = Object.keys(identity).filter((name) => identity[name]?.kind === "oidc");
  for (const [name, transmitter] of Object.entries(revocation?.transmitters ?? {}))
    for (const [at, issuer] of (transmitter?.speaksFor ?? []).entries())
      if (issuer !== undefined && !providers.includes(issuer))
        findings.mistake(
          ["revocation", "transmitters", name, "speaksFor", at],
          "is no OpenID provider under `identity`",
          providers,
        );
}

function checkUnused(config: Draft<GatewayConfig>, findings: Findings): void {
  const routes = config.routes ?? [];
  const targets = new Set(routes.map((route) => route?.to));
  for (const name of Object.keys(config.upstreams ?? {})) {
    if (!targets.has(name)) findings.warning(["upstreams", name], "is used by no route");
  }
  const vouchers = new Set(
    routes.flatMap((route) => (typeof route?.auth === "object" ? (route.auth.by ?? []) : [])),
  );
  for (const name of Object.keys(config.identity ?? {})) {
    if (!vouchers.has(name)) findings.warning(["identity", name], "is used by no route");
  }
}

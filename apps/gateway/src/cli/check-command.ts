import { access } from "node:fs/promises";
import { formatMistake, type Mistake } from "../config/config-error.ts";
import { findConfigFile } from "../config/find-config-file.ts";
import { loadConfig } from "../config/load-config.ts";
import type { GatewayConfig } from "../config/schema.ts";
import { describeRoutes, routesTable } from "./describe-routes.ts";
import { EXIT, type ExitCode, type Terminal } from "./terminal.ts";

/**
 * Validates a configuration and shows what it serves.
 * @throws {ConfigError} when it cannot be used
 */
export async function checkCommand(
  terminal: Terminal,
  { file, isJson }: { file: string | undefined; isJson: boolean },
): Promise<ExitCode> {
  const found = await findConfigFile(file, terminal.workingFolder);
  const { config, warnings } = await loadConfig(found, { environment: terminal.environment });
  const all = [...warnings, ...(await missingFiles(config))];
  if (isJson) {
    const routes = describeRoutes(config);
    terminal.print(JSON.stringify({ ok: true, file: found, warnings: all, routes }));
    return EXIT.fine;
  }
  const { listen, admin } = config;
  terminal.print(`${found} is right.`);
  terminal.print(`\nlistens on ${address(listen)}, for operators on ${address(admin)}\n`);
  for (const line of routesTable(config)) terminal.print(line);
  for (const warning of all) terminal.complain(`\nwarning: ${formatMistake(warning)}`);
  return EXIT.fine;
}

function address({ host, port }: { readonly host: string; readonly port: number }): string {
  const shown = host.includes(":") ? `[${host}]` : host;
  return port === 0 ? `${shown}, a free port` : `${shown}:${port}`;
}

/** Files that a start would need. Only looked for here: `start` says so itself, and they may come in between. */
async function missingFiles(config: GatewayConfig): Promise<Mistake[]> {
  const missing: Mistake[] = [];
  for (const [name, issuer] of Object.entries(config.identity)) {
    if (issuer.kind !== "users-file") continue;
    const isThere = await access(issuer.file).then(
      () => true,
      () => false,
    );
    if (isThere) continue;
    missing.push({
      path: ["identity", name, "file"],
      value: JSON.stringify(issuer.file),
      reason: `cannot be read; \`tidegate users add ${issuer.file} <name> --generate\` makes one`,
      allowed: undefined,
      position: undefined,
    });
  }
  return missing;
}

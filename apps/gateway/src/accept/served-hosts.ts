import type { GatewayConfig } from "../config/schema.ts";

/**
 * Which host names are served. Anything else gets 421 on every listener: a page on another name that resolves
 * to this address (DNS rebinding) must not reach the APIs with the browser's help.
 */
export function createServedHosts(config: GatewayConfig): ReadonlySet<string> {
  const hosts = new Set(["localhost", "127.0.0.1", "[::1]"]);
  if (config.listen.publicUrl !== undefined) hosts.add(new URL(config.listen.publicUrl).hostname);
  for (const host of config.listen.hosts) hosts.add(host.toLowerCase());
  for (const route of config.routes) {
    for (const host of route.hosts ?? []) hosts.add(host.toLowerCase());
  }
  return hosts;
}

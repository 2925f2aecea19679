import { writeFile } from "node:fs/promises";
import type { TempFolder } from "@tidegate/testkit";

/**
 * The peer `haproxy-tunnel`: one thread, reads the handshake as HTTP and then moves bytes without looking at them.
 * @returns program and arguments
 */
export async function haproxyTunnelCommand(options: {
  readonly folder: TempFolder;
  readonly port: number;
  readonly upstreamPort: number;
}): Promise<readonly string[]> {
  const file = options.folder.file("haproxy-tunnel.cfg");
  await writeFile(
    file,
    `global
  nbthread 1
  maxconn 2000
defaults
  mode http
  timeout connect 3s
  timeout client 60s
  timeout server 60s
  timeout tunnel 1h
frontend in
  bind 127.0.0.1:${options.port}
  default_backend upstream
backend upstream
  server one 127.0.0.1:${options.upstreamPort}
`,
  );
  return ["haproxy", "-db", "-f", file];
}

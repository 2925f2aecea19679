import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { TempFolder } from "@tidegate/testkit";

/**
 * Ours, as a user starts it: every message of either direction is counted by class and charged to a limit of its
 * connection, with framing, sizes, pings and idle times watched; one log line per socket to a file.
 * @returns program and arguments
 */
export async function gatewayCommand(options: {
  readonly folder: TempFolder;
  readonly port: number;
  readonly upstreamPort: number;
  readonly logFile: string;
}): Promise<readonly string[]> {
  const { folder, port, upstreamPort, logFile } = options;
  const file = folder.file("gateway.json");
  const plenty = { kind: "bucket", rate: { count: 100_000_000, seconds: 1 }, burst: 100_000_000 };
  const config = {
    listen: { port, publicUrl: `http://localhost:${port}` },
    admin: { port: 0 },
    dataFolder: folder.file("data"),
    upstreams: { echo: { targets: [`http://127.0.0.1:${upstreamPort}`] } },
    routes: [
      {
        path: "/live",
        to: "echo",
        auth: "none",
        websocket: {
          limits: [
            { ...plenty, class: "message", from: "client", per: "connection", exceed: "close" },
            { ...plenty, class: "message", from: "upstream", per: "connection", exceed: "close" },
          ],
        },
      },
      {
        path: "/limited",
        to: "echo",
        auth: "none",
        websocket: {
          limits: [{ ...plenty, rate: { count: 1, seconds: 60 }, burst: 3, exceed: "close" }],
        },
      },
    ],
    record: { destination: logFile },
  };
  await writeFile(file, JSON.stringify(config));
  const main = join(import.meta.dirname, "../../apps/gateway/src/cli/main.ts");
  return [process.execPath, main, "start", file];
}

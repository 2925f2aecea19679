import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { TempFolder } from "@tidegate/testkit";

/**
 * Ours, as a user starts it: identity by RS256 access tokens, two limits per person on the measured route, one per
 * address for all, the forwarded assertion, and one log line per request to a file.
 * @returns program and arguments
 */
export async function gatewayCommand(options: {
  readonly folder: TempFolder;
  readonly name: string;
  readonly port: number;
  readonly upstreamPort: number;
  readonly issuer: string;
}): Promise<readonly string[]> {
  const { folder, name, port, upstreamPort, issuer } = options;
  const file = folder.file(`${name}.json`);
  const auth = { by: ["people"] };
  const config = {
    listen: { port, publicUrl: `http://localhost:${port}` },
    admin: { port: 0 },
    dataFolder: folder.file(`${name}-data`),
    identity: { people: { kind: "oidc", issuer, audience: "https://api.test" } },
    upstreams: { bench: { targets: [`http://127.0.0.1:${upstreamPort}`] } },
    routes: [
      {
        path: "/**",
        to: "bench",
        auth,
        limits: [
          {
            kind: "bucket",
            rate: { count: 100_000_000, seconds: 1 },
            burst: 100_000_000,
            per: "user",
          },
          { kind: "window", limit: 1_000_000_000, seconds: 60, per: "address" },
        ],
      },
      {
        path: "/limited",
        to: "bench",
        auth,
        limits: [{ kind: "window", limit: 1, seconds: 60, per: "user" }],
      },
    ],
    record: { destination: logFileOf(folder, name) },
  };
  await writeFile(file, JSON.stringify(config));
  const main = join(import.meta.dirname, "../../apps/gateway/src/cli/main.ts");
  return [process.execPath, main, "start", file];
}

/** The access log of ours of that name. */
export const logFileOf = (folder: TempFolder, name: string): string => folder.file(`${name}.log`);

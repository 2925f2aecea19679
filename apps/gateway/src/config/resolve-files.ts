import { resolve } from "node:path";
import type { z } from "zod";
import type { configSchema } from "./schema.ts";

type Config = z.output<typeof configSchema>;

/** Makes every file path absolute, so that nothing depends on the folder the gateway was started in. */
export function resolveFiles(config: Config, folder: string): Config {
  const identity = Object.entries(config.identity).map(([name, issuer]) => [
    name,
    issuer.kind === "oidc" ? issuer : { ...issuer, file: resolve(folder, issuer.file) },
  ]);
  const { destination } = config.record;
  return {
    ...config,
    dataFolder: resolve(folder, config.dataFolder),
    identity: Object.fromEntries(identity),
    record: {
      ...config.record,
      destination: destination === "stdout" ? destination : resolve(folder, destination),
    },
  };
}

import { readFile } from "node:fs/promises";
import { parseKeysFile, parseUsersFile } from "@tidegate/auth";
import type { Clock } from "@tidegate/clock";
import type { RevocationSource } from "../admin/revocation-pages.ts";
import type { GatewayConfig } from "../config/schema.ts";
import type { Log } from "../record/logger.ts";
import type { GatewayDatabase } from "../store/gateway-database.ts";
import type { DataThreads } from "../worker/data-threads.ts";
import { RevocationDesk } from "./revocation-desk.ts";
import { RevocationLog } from "./revocation-log.ts";

/** Opens the desk on the main thread, with what a configuration says about how long things live. */
export function openRevocations({
  config,
  database,
  ...means
}: {
  readonly config: GatewayConfig;
  readonly database: GatewayDatabase;
  readonly dataThreads: DataThreads;
  readonly log: Log;
  readonly clock: Clock;
}): RevocationDesk {
  return new RevocationDesk({
    log: new RevocationLog(database),
    memory: {
      tokenMs: (issuer) => longestTokenSeconds(config, issuer) * 1_000,
      sessionMs: config.revocation.rememberSeconds * 1_000,
    },
    dataThreads: means.dataThreads,
    clock: means.clock,
    events: means.log,
  });
}

/** The desk as the admin listener has it. */
export function revocationSource(
  desk: RevocationDesk,
  { config, clock }: { readonly config: GatewayConfig; readonly clock: Clock },
): RevocationSource {
  return {
    revoke: (revocations, source) => desk.revoke(revocations, source),
    list: (limit) => desk.list(limit),
    nowSeconds: () => Math.floor(clock.wallMs() / 1_000),
    async issuerOf(nameOrIssuer) {
      const issuers = await issuersOf(config);
      return issuers.get(nameOrIssuer) ?? [...issuers.values()].find((one) => one === nameOrIssuer);
    },
  };
}

/** Issuers by their name under `identity`; files of users and of keys say themselves what they are called. */
async function issuersOf({ identity }: GatewayConfig): Promise<ReadonlyMap<string, string>> {
  const issuers = new Map<string, string>();
  for (const [name, issuer] of Object.entries(identity)) {
    if (issuer.kind === "oidc") issuers.set(name, issuer.issuer);
    else if (issuer.kind === "users-file") {
      const text = await readFile(issuer.file, "utf8");
      issuers.set(name, parseUsersFile(text, issuer.file).issuer);
    } else {
      const text = await readFile(issuer.file, "utf8");
      issuers.set(name, parseKeysFile(text, issuer.file).issuer);
    }
  }
  return issuers;
}

function longestTokenSeconds({ identity }: GatewayConfig, issuer: string): number {
  if (issuer.startsWith(KEYS_FILE)) return KEY_SECONDS;
  let longest = 0;
  for (const one of Object.values(identity))
    if (one.kind === "oidc" && one.issuer === issuer)
      longest = Math.max(longest, one.maxTokenLifetimeSeconds + one.clockToleranceSeconds);
  return longest === 0 ? LONGEST_UNKNOWN_SECONDS : longest;
}

/** What the issuers of keys files begin with. */
const KEYS_FILE = "urn:tidegate:keys:";
/** A key may have no end, so its revocation has none that anybody will see: a hundred years. */
const KEY_SECONDS = 100 * 365 * 86_400;
/** Of an issuer without tokens, or one that is configured no more: a day, the default of the longest token. */
const LONGEST_UNKNOWN_SECONDS = 86_400;

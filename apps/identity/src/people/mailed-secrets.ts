import type { Clock } from "@tidegate/clock";
import type { Database } from "@tidegate/service-kit";
import type { PeopleTables } from "./people-schema.ts";

/**
 * Removes links and codes that were mailed and have expired. Both are refused from then on anyway; this frees the space.
 * A code's row stays a day longer than the code: it names the address for which the person can ask for another.
 */
export async function sweepMailedSecrets(options: {
  readonly database: Database<PeopleTables>;
  readonly clock: Clock;
}): Promise<void> {
  const { query } = options.database;
  const nowMs = options.clock.wallMs();
  await query.deleteFrom("reset_tokens").where("expires_at_ms", "<=", nowMs).execute();
  await query
    .deleteFrom("email_codes")
    .where("expires_at_ms", "<=", nowMs - CLAIM_KEPT_MS)
    .execute();
}

const CLAIM_KEPT_MS = 24 * 3_600_000;

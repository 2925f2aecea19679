import { createHmac, timingSafeEqual } from "node:crypto";
import type { Random } from "@tidegate/clock";
import type { Database } from "@tidegate/service-kit";
import type { PeopleTables } from "../people/people-schema.ts";

/** Signs what browsers carry for us, each purpose apart. Made once and kept, so that open forms survive a restart. */
export interface BrowserKey {
  sign(purpose: string, text: string): string;
  /** In constant time. */
  verify(purpose: string, text: string, signature: string): boolean;
}

export async function loadBrowserKey(
  database: Database<PeopleTables>,
  random: Random,
): Promise<BrowserKey> {
  await database.query
    .insertInto("settings")
    .values({ name: "browser-key", value: random.bytes(32) })
    .onConflict((conflict) => conflict.doNothing())
    .execute();
  const { value } = await database.query
    .selectFrom("settings")
    .select("value")
    .where("name", "=", "browser-key")
    .executeTakeFirstOrThrow();
  const mac = (purpose: string, text: string): Buffer =>
    createHmac("sha256", value)
      .update(JSON.stringify([purpose, text]))
      .digest();
  return {
    sign: (purpose, text) => mac(purpose, text).toString("base64url"),
    verify(purpose, text, signature) {
      const given = Buffer.from(signature, "base64url");
      const wanted = mac(purpose, text);
      return given.length === wanted.length && timingSafeEqual(given, wanted);
    },
  };
}

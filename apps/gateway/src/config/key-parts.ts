import type { Draft } from "./draft.ts";
import type { KeyPart, LimitConfig } from "./limit-schema.ts";

/** What a limit tells callers apart by, in the words of the configuration; nothing where a function says it. */
export function keyParts(per: Draft<LimitConfig>["per"]): readonly KeyPart[] {
  if (per === undefined || typeof per === "function") return [];
  return typeof per === "string" ? [per] : per.filter((part) => part !== undefined);
}

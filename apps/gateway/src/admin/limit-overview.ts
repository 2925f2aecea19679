import { suggestLimit, type EmbeddedStatistics, type LimitSuggestion } from "@tidegate/limits";
import type { GatewayConfig } from "../config/schema.ts";
import { limitPlacesOf } from "../route/compile-routes.ts";

/** One limit as operators see it. */
export interface LimitOverview {
  readonly name: string;
  /** A route's id, or `everywhere`. */
  readonly route: string;
  /** Callers it knows now. */
  readonly keys: number;
  readonly maxKeys: number;
  /** Callers that had to share a coarse record because the table was full. */
  readonly spills: number;
  /** Calls it refused; in shadow mode, would have refused. */
  readonly refusals: number;
  /** Only in shadow mode: numbers that what was asked for speaks for. */
  readonly suggestion?: LimitSuggestion;
}

/** Every limit of a configuration with what it counted. @param statistics undefined when there are no limits */
export function limitOverview(
  config: GatewayConfig,
  statistics: EmbeddedStatistics | undefined,
): readonly LimitOverview[] {
  const places = limitPlacesOf(config);
  return (statistics?.limits ?? []).map(
    ({ name, keys, maxKeys, spills, refusals, demand }, at) => ({
      name,
      route: places[at] ?? "",
      keys,
      maxKeys,
      spills,
      refusals,
      ...(demand === undefined ? {} : { suggestion: suggestLimit(demand) }),
    }),
  );
}

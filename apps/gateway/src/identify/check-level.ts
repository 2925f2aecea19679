import { BASIC_ACR, type Principal } from "@tidegate/auth";
import { REASON } from "../judge/reason.ts";
import { refuseWith, type Refusal } from "../judge/refusal.ts";
import type { Route } from "../route/route.ts";

/** `Refusal.detail` of the reason `scope_lacking`. */
export interface ScopeDetail {
  /** Every scope the route asks for, as RFC 6750 §3.1 wants it, not only those that lack. */
  readonly scopes: readonly string[];
}

/** `Refusal.detail` of the reason `level_lacking`. */
export interface LevelDetail {
  /** Any of which would do; empty when the level is not the matter. */
  readonly acr: readonly string[];
  readonly maxAgeSeconds: number | undefined;
  /** Not empty when scopes lack too: one round trip brings both. */
  readonly scopes: readonly string[];
}

/**
 * Step 8 of the road: whether the caller may do this at all, by scope and by static level together. A lacking level
 * wins over a lacking scope (RFC 9470 §3): the caller who comes back with the level has asked for the scope as well.
 * Allocates nothing when it admits: it is asked for every call.
 * @param call.nowMs wall time
 * @returns whether the caller may go on; otherwise `refusal` was filled
 */
export function checkLevel(
  {
    route,
    principal,
    nowMs,
  }: {
    readonly route: Pick<Route, "config">;
    readonly principal: Principal;
    readonly nowMs: number;
  },
  refusal: Refusal,
): boolean {
  const { auth } = route.config;
  if (auth === "none") return true;
  const { scopes, acr, maxAgeSeconds } = auth;
  const hasScopes = holdsAll(principal.scopes, scopes);
  const hasLevel =
    (acr.length === 0 || reaches(principal.acr, acr)) &&
    (maxAgeSeconds === undefined || isFresh(principal, maxAgeSeconds, nowMs));
  if (hasLevel && hasScopes) return true;
  if (hasLevel) {
    refuseWith(refusal, REASON.scope_lacking, { detail: { scopes } satisfies ScopeDetail });
  } else {
    const detail: LevelDetail = { acr, maxAgeSeconds, scopes: hasScopes ? [] : scopes };
    refuseWith(refusal, REASON.level_lacking, { detail });
  }
  return false;
}

function holdsAll(held: ReadonlySet<string>, asked: readonly string[]): boolean {
  for (const scope of asked) if (!held.has(scope)) return false;
  return true;
}

/** Basic never reaches a level, even if somebody lists it: programs send it without anybody being there. */
function reaches(acr: string, levels: readonly string[]): boolean {
  return acr !== "" && acr !== BASIC_ACR && levels.includes(acr);
}

/** An unknown time of sign-in is never fresh (OWASP ASVS 6.8.4: assume the weakest). */
function isFresh({ authTimeSeconds }: Principal, maxAgeSeconds: number, nowMs: number): boolean {
  return authTimeSeconds > 0 && nowMs / 1_000 - authTimeSeconds <= maxAgeSeconds;
}

import type { SharedPlan } from "./shared-plan.ts";

/** Leases of busy keys are renewed about this often, whatever the rate of calls. */
export const REFRESH_MS = 100;
/**
 * What a dead node holds is back after this. Long enough that a node whose event loop, or whose store, stands still for half a
 * second still hands back in time what it did not spend: what expires counts as spent, in a window for its whole length.
 */
export const LEASE_TTL_MS = 10 * REFRESH_MS;
/** How far a node's clock may drift from the store's within one lease: 0.5 %, a hundred times what quartz does. */
const DRIFT = 0.005;
/** A chunk of messages is judged with the time at its start; it is over well within this. */
const MARGIN_MS = 5;

/**
 * Until when a node may spend a lease. Counted from before the request left, so that whatever the network did, the node
 * stops before the store takes the lease back (Gray and Cheriton, "Leases", 1989). No clocks are compared.
 */
export function leaseDeadlineMs(sentAtMs: number, ttlMs: number): number {
  return sentAtMs + ttlMs * (1 - DRIFT) - MARGIN_MS;
}

/**
 * Whether a caller is better asked for call by call: units are too few to be handed out ahead, or calls too rare.
 * @param unitsPerRefresh what the caller asks of this node in one refresh
 */
function isBetterDirect(plan: SharedPlan, nodes: number, unitsPerRefresh: number): boolean {
  return plan.isDirect || plan.sharedCapacity < 4 * nodes || unitsPerRefresh < 2;
}

/**
 * How much is leased, and when: the policy beside the engine. Whatever it says, no limit is exceeded; it decides what is stranded
 * and how often the store is asked.
 */
export interface LeaseSizing {
  isBetterDirect(plan: SharedPlan, nodes: number, unitsPerRefresh: number): boolean;
  leaseSize(plan: SharedPlan, nodes: number, unitsPerRefresh: number): number;
  /**
   * A busy caller who got less than wanted asks again no sooner than this, however soon a unit would be free: a flood on
   * a fast bucket would otherwise fetch units one by one. What refills meanwhile is not lost.
   */
  readonly leastGapMs: number;
}

/** So much more than one refresh needs is leased that a store that stands still for one is not noticed. */
const REFRESHES_AHEAD = 2;

/**
 * Units to ask for: what two refreshes need, and no more than half of an equal part, because what
 * is leased and not spent is withheld from the other nodes, and a lost reply costs a whole lease.
 */
export function leaseSize(plan: SharedPlan, nodes: number, unitsPerRefresh: number): number {
  const most = Math.max(1, Math.floor(plan.sharedCapacity / (2 * nodes)));
  return Math.min(most, Math.max(1, Math.ceil(REFRESHES_AHEAD * unitsPerRefresh)));
}

export const DEFAULT_SIZING: LeaseSizing = { isBetterDirect, leaseSize, leastGapMs: 20 };

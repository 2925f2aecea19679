import { createHash, createHmac, timingSafeEqual } from "node:crypto";
import type { Clock, Random } from "@tidegate/clock";
import type { SealingKeys } from "./sealing-keys.ts";

/**
 * A sign-in under way: what the provider's answer must fit to. It lies in the browser that began it, sealed, and
 * nowhere else: an answer that comes to another browser (login cross-site request forgery, a stolen code) finds none.
 */
export interface Flow {
  /** 32 random bytes, base64url. State, nonce and PKCE verifier are made from it, so that five flows fit one cookie. */
  readonly seed: string;
  /** Name under `identity`. */
  readonly provider: string;
  readonly returnTo: string;
  readonly beganMs: number;
  /** Set when a session exists that is to be raised: who must come back. */
  readonly person?: string | undefined;
  /** Levels of which one is demanded; empty: none. */
  readonly acr: readonly string[];
  readonly maxAgeSeconds?: number | undefined;
}

/** The three values of a flow that go to the provider or come back. Each is 32 bytes nobody can tell from random. */
export interface FlowSecrets {
  readonly state: string;
  readonly nonce: string;
  /** RFC 7636 §4.1: 43 characters. */
  readonly verifier: string;
  /** RFC 7636 §4.2, S256. */
  readonly challenge: string;
}

export const FLOW_LIFETIME_MS = 600_000;

export function beginFlow(
  flow: Omit<Flow, "seed" | "beganMs">,
  { clock, random }: { readonly clock: Clock; readonly random: Random },
): Flow {
  return { ...flow, seed: random.bytes(32).toString("base64url"), beganMs: clock.wallMs() };
}

export function flowSecrets({ seed }: Pick<Flow, "seed">): FlowSecrets {
  const derive = (label: string): string =>
    createHmac("sha256", seed).update(label).digest("base64url");
  const verifier = derive("verifier");
  return {
    state: derive("state"),
    nonce: derive("nonce"),
    verifier,
    challenge: createHash("sha256").update(verifier).digest("base64url"),
  };
}

/** The flows of a cookie's value that have not run out; none when it was changed. Newest last. */
export function readFlows(
  value: string | undefined,
  { keys, clock }: { readonly keys: SealingKeys; readonly clock: Clock },
): readonly Flow[] {
  if (value === undefined || value.length > MAX_COOKIE_LENGTH) return [];
  const sealed = Buffer.from(value, "base64url");
  // The decoder drops what does not belong; one flow has one spelling.
  const text = sealed.toString("base64url") === value ? keys.open(sealed, CONTEXT) : undefined;
  if (text === undefined) return [];
  const nowMs = clock.wallMs();
  // Sealed by us, so it has the form we gave it.
  const flows = JSON.parse(text) as Flow[];
  return flows.filter(({ beganMs }) => nowMs - beganMs < FLOW_LIFETIME_MS && beganMs <= nowMs);
}

/** The cookie's value for these flows; empty for none. Of more than five, or too much for a cookie, the oldest go. */
export function writeFlows(flows: readonly Flow[], keys: SealingKeys): string {
  for (let kept = flows.slice(-MAX_FLOWS); kept.length > 0; kept = kept.slice(1)) {
    const value = keys.seal(JSON.stringify(kept), CONTEXT).toString("base64url");
    if (value.length <= MAX_COOKIE_LENGTH) return value;
  }
  return "";
}

/** The flow that began with this state. Compared in constant time: state is a secret between browser and us. */
export function findFlow(flows: readonly Flow[], state: string | null): Flow | undefined {
  if (state === null) return undefined;
  const shown = Buffer.from(state);
  return flows.find((flow) => {
    const own = Buffer.from(flowSecrets(flow).state);
    return own.length === shown.length && timingSafeEqual(own, shown);
  });
}

const CONTEXT = "sign-in flows";
/** Tabs in which a person may begin at once. */
const MAX_FLOWS = 5;
/** RFC 6265 §6.1: browsers keep at least 4096 bytes of name, value and attributes. */
const MAX_COOKIE_LENGTH = 3_900;

import type { JsonObject } from "./json-object.ts";

/**
 * What a provider says of a person beside who they are, by the names of OpenID Connect Core §5.1. It is theirs: never
 * logged, and told to a service only where a route asks for it. Nobody is recognised by it: names and addresses change hands.
 */
export interface Profile {
  readonly name?: string;
  readonly preferred_username?: string;
  readonly email?: string;
  /** Whether the provider has seen that `email` is the person's. */
  readonly email_verified?: boolean;
}

export type ProfileClaim = keyof Profile;

/** In the order in which they are asserted. */
export const PROFILE_CLAIMS = [
  "name",
  "preferred_username",
  "email",
  "email_verified",
] as const satisfies readonly ProfileClaim[];

/**
 * Reads what claims say of a person. What is not of its type is left out: it is no reason to turn anybody away.
 * `email_verified` is about the address beside it, so without one it says nothing.
 * @returns frozen; undefined when nothing is known
 */
export function readProfile(claims: JsonObject): Profile | undefined {
  const email = readText(claims["email"]);
  const isVerified = claims["email_verified"];
  return toProfile({
    name: readText(claims["name"]),
    preferred_username: readText(claims["preferred_username"]),
    email,
    // Some providers send the text "true"; a text "false" is true to careless readers, so none counts.
    email_verified: email !== undefined && typeof isVerified === "boolean" ? isVerified : undefined,
  });
}

/**
 * Puts together what two sources say of the same person; what `first` says wins. An address and whether it was verified are
 * one fact: "verified" of one source's address must not vouch for another's.
 */
export function mergeProfiles(
  first: Profile | undefined,
  second: Profile | undefined,
): Profile | undefined {
  if (first === undefined || second === undefined) return first ?? second;
  const address = first.email === undefined ? second : first;
  const isSame = first.email === second.email;
  return toProfile({
    name: first.name ?? second.name,
    preferred_username: first.preferred_username ?? second.preferred_username,
    email: address.email,
    email_verified: address.email_verified ?? (isSame ? second.email_verified : undefined),
  });
}

/**
 * Reads a profile from an assertion, which holds what its maker found good: anything else spoils it.
 * @returns undefined when it is malformed; an empty one when nothing is said
 */
export function readAssertedProfile(payload: JsonObject): Profile | undefined {
  const profile: { -readonly [Claim in ProfileClaim]?: Profile[Claim] } = {};
  for (const claim of TEXTS) {
    if (payload[claim] === undefined) continue;
    const value = readText(payload[claim]);
    if (value === undefined) return undefined;
    profile[claim] = value;
  }
  const isVerified = payload["email_verified"];
  if (isVerified !== undefined) {
    if (typeof isVerified !== "boolean") return undefined;
    profile.email_verified = isVerified;
  }
  return Object.freeze(profile);
}

/** What of a profile `claims` name, as members of an assertion. */
export function pickProfile(
  profile: Profile | undefined,
  claims: readonly ProfileClaim[],
): Record<string, string | boolean> {
  const picked: Record<string, string | boolean> = {};
  for (const claim of claims) {
    const value = profile?.[claim];
    if (value !== undefined) picked[claim] = value;
  }
  return picked;
}

const TEXTS = ["name", "preferred_username", "email"] as const;

type Known = { readonly [Claim in ProfileClaim]: Profile[Claim] | undefined };

function toProfile(known: Known): Profile | undefined {
  const entries = PROFILE_CLAIMS.flatMap((claim) =>
    known[claim] === undefined ? [] : [[claim, known[claim]] as const],
  );
  return entries.length === 0 ? undefined : Object.freeze(Object.fromEntries(entries));
}

/**
 * At most 255 characters, as `sub`, so that an assertion stays a field that every server takes. Control characters would
 * end a line of a log; half a surrogate pair cannot be written as UTF-8.
 */
function readText(value: unknown): string | undefined {
  if (typeof value !== "string" || !value.isWellFormed()) return undefined;
  // eslint-disable-next-line no-control-regex -- control characters are what is looked for
  return /^[^\u0000-\u001f\u007f-\u009f\u2028\u2029]{1,255}$/.test(value) ? value : undefined;
}

import { mergeProfiles, readProfile, type Profile, type ProfileClaim } from "@tidegate/auth";
import { profileNotRead } from "../record/events.ts";
import type { Log } from "../record/logger.ts";
import type { BrowserProvider } from "./browser-provider.ts";
import type { GrantedTokens } from "./provider-client.ts";

/** OpenID Connect Core §5.4: the scope that brings a claim. */
const SCOPE_OF: Readonly<Record<ProfileClaim, string>> = {
  name: "profile",
  preferred_username: "profile",
  email: "email",
  email_verified: "email",
};

/**
 * What is known of a person who signs in. Many providers put it into the ID token; the others are asked once, at sign-in,
 * and only where some route tells its upstream what is lacking and the person granted it. Without an answer they sign in all
 * the same: nobody is let in or kept out by a name.
 * @returns why the sign-in must not go on: the answer is about somebody else
 */
export async function completeProfile(
  tokens: GrantedTokens,
  {
    subject,
    known,
    wanted,
    provider,
    log,
  }: {
    readonly subject: string;
    readonly known: Profile | undefined;
    /** What some route asks for. */
    readonly wanted: ReadonlySet<ProfileClaim>;
    readonly provider: BrowserProvider;
    readonly log: Log;
  },
): Promise<{ readonly profile: Profile | undefined } | { readonly why: string }> {
  const granted = tokens.scope?.split(" ") ?? provider.config.browser?.scopes ?? [];
  const isLacking = [...wanted].some(
    (claim) => known?.[claim] === undefined && granted.includes(SCOPE_OF[claim]),
  );
  if (!isLacking) return { profile: known };
  const answer = await provider.client.userInfo(tokens.accessToken);
  if (answer.outcome !== "granted") {
    profileNotRead(log, { provider: provider.name, why: answer.why });
    return { profile: known };
  }
  if (answer.value === undefined) return { profile: known };
  // OpenID Connect Core §5.3.2: by an access token put in the place of theirs, somebody would carry another's name.
  if (answer.value["sub"] !== subject) return { why: "user info is about another person" };
  return { profile: mergeProfiles(known, readProfile(answer.value)) };
}

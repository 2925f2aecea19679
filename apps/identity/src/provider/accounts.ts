import type { Account } from "oidc-provider";

/** A person as clients may see them. */
export interface AccountPerson {
  readonly id: string;
  readonly loginName: string;
  readonly displayName: string;
  readonly email: string | undefined;
  readonly isEmailVerified: boolean;
  readonly isDisabled: boolean;
}

/**
 * The person behind a `sub`, as the library asks for them: at every sign-in, code exchange, refresh and userinfo. Somebody
 * who is disabled or gone is nobody.
 */
export async function findAccount(
  find: (personId: string) => Promise<AccountPerson | undefined>,
  personId: string,
): Promise<Account | undefined> {
  const person = await find(personId);
  if (person === undefined || person.isDisabled) return undefined;
  return {
    accountId: person.id,
    // The library leaves out what the scopes do not cover.
    claims: () => ({
      sub: person.id,
      name: person.displayName,
      preferred_username: person.loginName,
      ...(person.email !== undefined && {
        email: person.email,
        email_verified: person.isEmailVerified,
      }),
    }),
  };
}

/** Claims by scope (OpenID Connect Core §5.4), and those that come without one. */
export const CLAIMS = {
  // How and when somebody signed in is in every ID token, asked for or not: gateways judge freshness by it.
  openid: ["sub", "acr", "amr", "auth_time"],
  profile: ["name", "preferred_username"],
  email: ["email", "email_verified"],
  iss: null,
  sid: null,
} as const;

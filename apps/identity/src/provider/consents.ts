import type { Clock } from "@tidegate/clock";
import type { Database } from "@tidegate/service-kit";
import type { Grant, KoaContextWithOIDC } from "oidc-provider";
import { CLAIMS } from "./accounts.ts";
import type { ClientEntry } from "./client-file.ts";
import type { ProviderTables } from "./provider-schema.ts";

/** What people allowed clients, remembered from one session to the next. */
export class ConsentStore {
  readonly #database: Database<ProviderTables>;
  readonly #clock: Clock;

  constructor(options: { readonly database: Database<ProviderTables>; readonly clock: Clock }) {
    this.#database = options.database;
    this.#clock = options.clock;
  }

  async find(personId: string, clientId: string): Promise<ReadonlySet<string>> {
    const row = await this.#database.query
      .selectFrom("consents")
      .select("scopes")
      .where("person_id", "=", personId)
      .where("client_id", "=", clientId)
      .executeTakeFirst();
    return new Set(row === undefined ? [] : (JSON.parse(row.scopes) as string[]));
  }

  /** Adds to what was allowed before. Bounded by what clients may ask for: `client-file.ts`. */
  async add(
    personId: string,
    consent: { readonly clientId: string; readonly scopes: readonly string[] },
  ): Promise<void> {
    const known = await this.find(personId, consent.clientId);
    const row = {
      scopes: JSON.stringify([...new Set([...known, ...consent.scopes])]),
      given_at_ms: this.#clock.wallMs(),
    };
    await this.#database.query
      .insertInto("consents")
      .values({ person_id: personId, client_id: consent.clientId, ...row })
      .onConflict((conflict) => conflict.doUpdateSet(row))
      .execute();
  }
}

/** What one authorization request asks for, flat: `openid`, `profile`, and for APIs `<resource> <scope>`. */
export function requestedScopes(ctx: KoaContextWithOIDC): string[] {
  const { requestParamOIDCScopes, requestParamScopes, resourceServers } = ctx.oidc;
  const scopes = [...requestParamOIDCScopes];
  for (const [resource, server] of Object.entries(resourceServers ?? {})) {
    for (const scope of requestParamScopes) {
      if (server.scopes.has(scope)) scopes.push(`${resource} ${scope}`);
    }
  }
  return scopes;
}

/** Adds to a grant what `requestedScopes` names. */
export function allow(grant: Grant, scopes: readonly string[]): void {
  for (const entry of scopes) {
    const [resource, scope] = entry.split(" ");
    if (resource === undefined) continue;
    if (scope === undefined) grant.addOIDCScope(resource);
    else grant.addResourceScope(resource, scope);
  }
}

/** Whether a grant has all that `requestedScopes` names. */
export function covers(grant: Grant, scopes: readonly string[]): boolean {
  return scopes.every((entry) => {
    const [resource = "", scope] = entry.split(" ");
    return scope === undefined
      ? grant.getOIDCScope().split(" ").includes(resource)
      : grant.getResourceScope(resource).split(" ").includes(scope);
  });
}

/**
 * The permission that an authorization request stands on. Where the operator answers for the client, or the person allowed
 * all of it before, it is made or widened without asking.
 */
export async function loadGrant(
  ctx: KoaContextWithOIDC,
  options: {
    readonly entry: ClientEntry | undefined;
    readonly consents: ConsentStore;
  },
): Promise<Grant | undefined> {
  const { provider, client, account, session, result } = ctx.oidc;
  if (client === undefined || account === undefined || session === undefined) return undefined;
  const { clientId } = client;
  const grantId = result?.consent?.grantId ?? session.grantIdFor(clientId);
  const found = grantId === undefined ? undefined : await provider.Grant.find(grantId);
  // Somebody else signed in at this browser since: their predecessor's permission is not theirs.
  const isTheirs = found?.accountId === account.accountId && found.clientId === clientId;
  const known = isTheirs ? found : undefined;
  const wanted = requestedScopes(ctx);
  if (known !== undefined && covers(known, wanted)) return known;
  if (options.entry?.consent !== "implied") {
    const given = await options.consents.find(account.accountId, clientId);
    if (wanted.length === 0 || !wanted.every((scope) => given.has(scope))) return known;
    // A claim asked for by name is allowed as its scope was, not because some other scope was.
    const named = new Set(
      ["profile", "email"].filter((scope) => given.has(scope)).flatMap(claimsOf),
    );
    if (![...ctx.oidc.requestParamClaims].every((claim) => named.has(claim) || isPlain(claim))) {
      return known;
    }
  }
  const grant = known ?? new provider.Grant({ accountId: account.accountId, clientId });
  allow(grant, wanted);
  grant.addOIDCClaims(ctx.oidc.requestParamClaims);
  await grant.save();
  return grant;
}

const claimsOf = (scope: string): readonly string[] =>
  scope === "profile" ? CLAIMS.profile : CLAIMS.email;

/** Claims about the sign-in, which every token has. */
const isPlain = (claim: string): boolean =>
  ["sub", "sid", "auth_time", "acr", "amr", "iss"].includes(claim);

import { decodeJwt } from "jose";
import type {
  ClaimsParameter,
  ClaimsParameterMember,
  interactionPolicy,
  KoaContextWithOIDC,
} from "oidc-provider";
import { currentLevel, type Level } from "./levels.ts";
import { errors, interactionPolicy as policies } from "./library.ts";

const { Check, base } = policies;

/**
 * When people are asked something. The library's own policy with these changes:
 * - `acr_values` is a demand (RFC 9470 §5), like an essential `acr` claim; what nobody can reach here is an error at once,
 * - a level is forgotten after its time,
 * - a client that named a person by `id_token_hint` gets nobody else, also after a sign-in,
 * - whoever was asked once and still does not fit gets an error: never the same page again.
 */
export function createInteractionPolicy(options: {
  readonly levels: readonly Level[];
  readonly nowSeconds: () => number;
}): interactionPolicy.Prompt[] {
  const policy = base();
  const login = policy.get("login");
  const consent = policy.get("consent");
  if (login === undefined || consent === undefined) throw new Error("The library's policy changed");
  login.checks.remove("essential_acr");
  login.checks.remove("essential_acrs");
  login.checks.remove("id_token_hint");
  login.checks.add(personIsThere(), 0);
  login.checks.add(personIsExpected());
  login.checks.add(levelIsReached(options));
  for (const { prompt, result } of [
    { prompt: login, result: "login" },
    { prompt: consent, result: "consent" },
  ] as const) {
    for (const check of prompt.checks) check.check = askOnce(check, result);
  }
  return [login, consent];
}

/** A session whose person was disabled or deleted since: it is about to be ended, and asks nobody anything. */
function personIsThere(): interactionPolicy.Check {
  return new Check("person_gone", "the account is not available", "login_required", (ctx) => {
    const { session, account } = ctx.oidc;
    if (session?.accountId !== undefined && account === undefined) {
      throw new errors.AccessDenied("the account is not available");
    }
    return Check.NO_NEED_TO_PROMPT;
  });
}

/** The library compares before the sign-in only; afterwards anybody would do. */
function personIsExpected(): interactionPolicy.Check {
  return new Check(
    "id_token_hint",
    "the signed-in person is not the one that id_token_hint names",
    "login_required",
    ({ oidc }) => {
      const hint = oidc.params?.["id_token_hint"];
      // Signature, issuer and audience were checked when the request came; it has been in our store since.
      return typeof hint === "string" && decodeJwt(hint).sub !== oidc.session?.accountId;
    },
  );
}

function levelIsReached(options: {
  readonly levels: readonly Level[];
  readonly nowSeconds: () => number;
}): interactionPolicy.Check {
  const { levels } = options;
  return new Check(
    "level",
    "the requested authentication level was not reached",
    "unmet_authentication_requirements",
    (ctx) => {
      const { session } = ctx.oidc;
      const level =
        session?.accountId === undefined
          ? undefined
          : currentLevel(
              { acr: session.acr, authTimeSeconds: session.authTime() ?? 0 },
              { levels, nowSeconds: options.nowSeconds() },
            );
      if (session !== undefined && level !== undefined && level.acr !== session.acr) {
        // Keycloak's users complain that a level once reached sticks: what is issued from here on says the lower one.
        session.acr = level.acr;
        session.amr = [...level.amr];
      }
      const wanted = wantedLevels(ctx);
      if (wanted === undefined || (level !== undefined && wanted.includes(level.acr))) {
        return Check.NO_NEED_TO_PROMPT;
      }
      if (!levels.some(({ acr }) => wanted.includes(acr))) {
        throw new errors.UnmetAuthenticationRequirements(
          "none of the requested authentication levels can be reached here",
        );
      }
      return Check.REQUEST_PROMPT;
    },
    (ctx) => ({ acr: wantedLevels(ctx) }),
  );
}

/** The levels of which one is demanded; undefined when none is. */
function wantedLevels(ctx: KoaContextWithOIDC): readonly string[] | undefined {
  const claim = acrClaimOf(ctx);
  if (claim?.essential === true) {
    const { value, values } = claim;
    if (values !== undefined && !Array.isArray(values)) {
      throw new errors.InvalidRequest("claims.id_token.acr.values must be an array");
    }
    if (value !== undefined || values !== undefined) {
      return [...(values ?? []), ...(value === undefined ? [] : [value])];
    }
  }
  const asked = ctx.oidc.params?.["acr_values"];
  if (typeof asked !== "string" || asked.trim() === "") return undefined;
  return asked.trim().split(/ +/);
}

/**
 * The `acr` of the `claims` parameter as it was sent: the library overwrites what it parsed with `acr_values`, and a demand
 * would become a wish. That it is JSON was checked when it came.
 */
function acrClaimOf(ctx: KoaContextWithOIDC): ClaimsParameterMember | undefined {
  const text = ctx.oidc.params?.["claims"];
  if (typeof text !== "string") return undefined;
  const claims = JSON.parse(text) as ClaimsParameter;
  return claims.id_token?.["acr"] ?? undefined;
}

/** Wraps a check so that it fails, rather than asks again, once the person has answered this prompt. */
function askOnce(
  check: interactionPolicy.Check,
  result: "login" | "consent",
): interactionPolicy.Check["check"] {
  const ask = check.check.bind(check);
  return async (ctx) => {
    const isAsking = await ask(ctx);
    if (!isAsking || ctx.oidc.result?.[result] === undefined) return isAsking;
    if (result === "consent") throw new errors.AccessDenied("not everything needed was allowed");
    throw check.error === "unmet_authentication_requirements"
      ? new errors.UnmetAuthenticationRequirements(check.description)
      : new errors.LoginRequired(check.description);
  };
}

import { timingSafeEqual } from "node:crypto";
import type { FastifyInstance } from "fastify";
import type { KoaContextWithOIDC } from "oidc-provider";
import { readField } from "../browser/form-fields.ts";
import { seeOther } from "../web/identity-app.ts";
import { Refused } from "../web/refused.ts";
import type { BrowserSessions } from "./browser-sessions.ts";
import { COOKIE_NAMES, ROUTES } from "./create-provider.ts";
import { signOutStateOf, type SignOutState } from "./provider-pages.ts";
import type { SessionStore } from "./session-store.ts";

const DONE = `${ROUTES.end_session}/success`;

/**
 * Signing out where nobody has to be asked (OpenID Connect RP-Initiated Logout 1.0 §2): nobody is signed in, or the client
 * showed an ID token of this very person and session, which no other site has. The library would show a page that submits
 * itself in the first case and ask in the second.
 * @returns false when the person has to be asked
 */
export async function signOutAtOnce(
  ctx: KoaContextWithOIDC,
  sessions: SessionStore,
): Promise<boolean> {
  const { session } = ctx.oidc;
  if (session === undefined) return false;
  const state = signOutStateOf(ctx);
  if (session.accountId !== undefined) {
    if (!isTheirToken(ctx)) return false;
    await sessions.end(session.uid, "signed-out");
  } else {
    await session.destroy();
  }
  ctx.oidc.cookies.set(COOKIE_NAMES.session, null, { signed: true, secure: true, path: "/" });
  ctx.status = 303;
  ctx.redirect(afterSignOut(state, DONE));
  return true;
}

function isTheirToken(ctx: KoaContextWithOIDC): boolean {
  const { session, client, entities } = ctx.oidc;
  const hint = entities.IdTokenHint?.payload;
  if (hint === undefined || session === undefined || client === undefined) return false;
  return (
    hint["sub"] === session.accountId &&
    typeof hint["sid"] === "string" &&
    hint["sid"] === session.sidFor(client.clientId)
  );
}

/** Where the page that asks sends its form. It takes the library's place, so that every session ends in one way. */
export function addSignOut(
  app: FastifyInstance,
  options: { readonly browserSessions: BrowserSessions; readonly sessions: SessionStore },
): void {
  const { browserSessions, sessions } = options;
  app.post(`${ROUTES.end_session}/confirm`, async (request, reply) => {
    const session = await browserSessions.currentOrEmpty(request);
    const state: SignOutState = session.state ?? {};
    if (session.accountId === undefined) return seeOther(reply, DONE);
    if (state.secret === undefined || !isSame(state.secret, readField(request, "xsrf"))) {
      throw new Refused(403, "This form is too old. Go back, reload the page and try again.");
    }
    if (readField(request, "logout") !== "yes") {
      session.state = {};
      await session.persist();
      return seeOther(reply, afterSignOut(state, "/account"));
    }
    await sessions.end(session.uid, "signed-out");
    browserSessions.forget({ request, reply });
    return seeOther(reply, afterSignOut(state, DONE));
  });
}

/** The client's registered address if it gave one, with its `state`. */
function afterSignOut(state: SignOutState, otherwise: string): string {
  if (state.postLogoutRedirectUri === undefined) return otherwise;
  const url = new URL(state.postLogoutRedirectUri);
  if (state.state !== undefined) url.searchParams.set("state", state.state);
  return url.href;
}

function isSame(secret: string, given: string): boolean {
  const one = Buffer.from(secret);
  const other = Buffer.from(given);
  return one.length === other.length && timingSafeEqual(one, other);
}

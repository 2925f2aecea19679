import { ServerResponse } from "node:http";
import type { FastifyReply, FastifyRequest } from "fastify";
import type Provider from "oidc-provider";
import { networkOf } from "../account/account-parts.ts";
import type { SignedInPerson, SignedInSource } from "../account/signed-in-person.ts";
import type { IdentityEvents } from "../events.ts";
import { Refused } from "../web/refused.ts";
import { COOKIE_NAMES } from "./create-provider.ts";
import { PASSWORD_LEVEL, type Level } from "./levels.ts";
import { LIFETIMES } from "./lifetimes.ts";
import type { SessionStore } from "./session-store.ts";

type Session = InstanceType<Provider["Session"]>;

export interface BrowserSessionsOptions {
  readonly provider: () => Provider;
  readonly sessions: SessionStore;
  readonly events: IdentityEvents;
  readonly isThere: (personId: string) => Promise<boolean>;
  readonly nowSeconds: () => number;
}

/** The session that a browser's cookie names. */
export interface BrowserSessions extends SignedInSource {
  /** The session as the library has it; undefined when nobody is signed in at this browser. */
  current(request: FastifyRequest): Promise<Session | undefined>;
  /** What is left of a session in which nobody is signed in, such as a sign-out being confirmed. */
  currentOrEmpty(request: FastifyRequest): Promise<Session>;
  /** Signs a person in, under a session id that nobody has seen before. Whoever else was signed in here is signed out. */
  signIn(
    exchange: { readonly request: FastifyRequest; readonly reply: FastifyReply },
    person: { readonly personId: string; readonly level: Level },
  ): Promise<void>;
  /** Ends somebody else's session at this browser, so that it cannot mix with the one about to begin. */
  makeWayFor(request: FastifyRequest, personId: string): Promise<void>;
  forget(exchange: { readonly request: FastifyRequest; readonly reply: FastifyReply }): void;
}

export function createBrowserSessions(options: BrowserSessionsOptions): BrowserSessions {
  const { sessions, nowSeconds } = options;

  const currentOrEmpty = async (request: FastifyRequest): Promise<Session> => {
    const provider = options.provider();
    // Only read: what the library would answer with the cookie goes nowhere.
    const unsent = new ServerResponse(request.raw);
    return provider.Session.get(provider.createContext(request.raw, unsent));
  };
  const current = async (request: FastifyRequest): Promise<Session | undefined> => {
    const session = await currentOrEmpty(request);
    return session.accountId === undefined ? undefined : session;
  };
  const makeWayFor = async (request: FastifyRequest, personId: string): Promise<void> => {
    const session = await current(request);
    if (session === undefined || session.accountId === personId) return;
    await sessions.end(session.uid, "another-person");
  };

  const find = async (request: FastifyRequest): Promise<SignedInPerson | undefined> => {
    const session = await current(request);
    if (session?.accountId === undefined || !(await options.isThere(session.accountId))) {
      return undefined;
    }
    return {
      personId: session.accountId,
      sessionId: session.uid,
      authTimeSeconds: session.authTime() ?? 0,
    };
  };

  const signIn: BrowserSessions["signIn"] = async ({ request, reply }, { personId, level }) => {
    const provider = options.provider();
    await makeWayFor(request, personId);
    const known = await current(request);
    const session = known ?? makeSession(provider);
    session.loginAccount({
      accountId: personId,
      acr: level.acr,
      amr: [...level.amr],
      loginTs: nowSeconds(),
    });
    // Session fixation (ASVS 7.2.4): what the browser had before the password was typed opens nothing afterwards.
    if (known !== undefined) session.resetIdentifier();
    await session.save(LIFETIMES.sessionIdle);
    // The store has ended it again if the person was disabled while they were signing in.
    if (!(await options.isThere(personId))) throw new Refused(403, "This account cannot be used.");
    await sessions.noteUse(session.uid, request.headers["user-agent"]);
    setSessionCookie(provider, { request, reply }, session);
  };

  return {
    current,
    currentOrEmpty,
    makeWayFor,
    signIn,
    find,
    forget: (exchange) => setSessionCookie(options.provider(), exchange, undefined),
    signInUrl: (returnTo) => `/sign-in?${new URLSearchParams({ returnTo }).toString()}`,
    signOutUrl: "/sign-out",
    async begin(exchange, { personId, continueTo }) {
      await signIn(exchange, { personId, level: PASSWORD_LEVEL });
      const { acr } = PASSWORD_LEVEL;
      options.events.signedIn({ personId, network: networkOf(exchange.request), acr });
      return continueTo ?? "/account";
    },
  };
}

function makeSession(provider: Provider): Session {
  const { Session: SessionOf } = provider as unknown as { readonly Session: new () => Session };
  return new SessionOf();
}

/** Signed by the library, as its own are. @param session undefined: the browser forgets it */
function setSessionCookie(
  provider: Provider,
  { request, reply }: { readonly request: FastifyRequest; readonly reply: FastifyReply },
  session: Session | undefined,
): void {
  const written = new ServerResponse(request.raw);
  const { cookies } = provider.createContext(request.raw, written);
  cookies.set(COOKIE_NAMES.session, session === undefined ? null : session.jti, {
    httpOnly: true,
    sameSite: "lax",
    secure: true,
    signed: true,
    path: "/",
    ...(session !== undefined && { expires: new Date(session.exp * 1_000) }),
  });
  const fields = written.getHeader("set-cookie");
  for (const field of Array.isArray(fields) ? fields : []) reply.header("set-cookie", field);
}

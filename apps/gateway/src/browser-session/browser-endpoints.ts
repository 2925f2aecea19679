import type { OwnEndpoint, OwnRequest } from "../accept/own-endpoint.ts";
import { OWN_PREFIX } from "../accept/own-endpoints.ts";
import type { RequestHead } from "../accept/request-head.ts";
import { refusalProblem, type ProblemAnswer } from "../forward/problem.ts";
import { isFromForbiddenSite, isNavigation } from "../identify/other-sites.ts";
import {
  hasSessionCookie,
  kindOfCredential,
  SESSION_COOKIE,
} from "../identify/presented-credential.ts";
import { CALL_KIND } from "../judge/call.ts";
import { REASONS, type ReasonKind } from "../judge/reason.ts";
import { fieldValues } from "../relay/fields.ts";
import type { MainThread } from "../worker/data-threads.ts";
import { browserPage, seeOther } from "./browser-page.ts";
import { FLOW_COOKIE, readCookie, writeCookie } from "./cookies.ts";
import { DOUBLED, sessionIdOf } from "./session-credentials.ts";
import { BROWSER_ENDPOINT, type BrowserQuestion, type ShownSession } from "./session-news.ts";
import type { BrowserCall } from "./sign-in-desk.ts";

interface Means {
  readonly main: MainThread;
  /** Our own origin. */
  readonly publicUrl: string;
  /** Where the pages that explain problem types are. */
  readonly typeBase: string;
}

/** What browsers ask of the gateway itself: to sign in, to raise a sign-in, to sign out, and who they are. */
export function browserEndpoints(means: Means): readonly OwnEndpoint[] {
  return [
    {
      matches: (path) => path === `${OWN_PREFIX}sign-in`,
      methods: ["GET"],
      serve: (request) => navigated(means, request, () => ask(means, "sign-in", request)),
    },
    {
      matches: (path) => path === `${OWN_PREFIX}step-up`,
      methods: ["GET"],
      serve: (request) => navigated(means, request, () => ask(means, "step-up", request)),
    },
    {
      matches: (path) => path === CALLBACK || path.startsWith(`${CALLBACK}/`),
      methods: ["GET"],
      serve: (request) => navigated(means, request, () => ask(means, "callback", request)),
    },
    {
      matches: (path) => path === `${OWN_PREFIX}sign-out`,
      methods: ["POST"],
      serve: (request) => signOut(means, request),
    },
    {
      matches: (path) => path === `${OWN_PREFIX}session`,
      methods: ["GET"],
      serve: (request) => showSession(means, request),
    },
    {
      matches: (path) => path === SIGNED_OUT,
      methods: ["GET"],
      serve: () =>
        browserPage({
          status: 200,
          title: "You are signed out",
          text: "You can close this page, or go on.",
          links: [{ href: "/", label: "Go to the start page" }],
        }),
    },
  ];
}

const CALLBACK = `${OWN_PREFIX}callback`;
/** Where the provider sends people after it has signed them out; must be registered there. */
export const SIGNED_OUT = `${OWN_PREFIX}signed-out`;

/**
 * For a whole page only. An image or frame of another site could otherwise begin sign-ins and push out those that a
 * person began; links may, because people see where they lead.
 */
function navigated(
  means: Means,
  { head, requestId }: OwnRequest,
  serve: () => Promise<ProblemAnswer>,
): ProblemAnswer | Promise<ProblemAnswer> {
  // Clients that do not say how they ask are no browsers of today.
  if (head.secFetchMode === undefined || isNavigation(head)) return serve();
  return refused(REASONS.origin_refused, means, requestId);
}

function ask(
  { main, publicUrl }: Means,
  endpoint: Exclude<BrowserQuestion["endpoint"], "sign-out" | "session">,
  { head, peer }: OwnRequest,
): Promise<ProblemAnswer> {
  const session = hasSessionCookie(head.cookie) ? sessionIdOf(head.cookie) : undefined;
  const call: BrowserCall = {
    publicUrl,
    query: head.query,
    callbackOf: head.path.startsWith(`${CALLBACK}/`)
      ? head.path.slice(CALLBACK.length + 1)
      : undefined,
    flows: readCookie(head.cookie, FLOW_COOKIE),
    session: session === DOUBLED ? undefined : session,
    network: peer.network,
  };
  const question: BrowserQuestion = { endpoint, call };
  return main.ask(BROWSER_ENDPOINT, question, ANSWER_DEADLINE_MS) as Promise<ProblemAnswer>;
}

/**
 * Ends the session here, and says where to end it at the provider. An answer of ours may remove the cookie even where
 * the browser did not send it (`SameSite`), so every request must come from a page of ours, cookie or not.
 */
async function signOut(means: Means, request: OwnRequest): Promise<ProblemAnswer> {
  const { main, publicUrl } = means;
  const { head, requestId } = request;
  const hasCsrfField = head.hasCsrfField || isOwnForm(head);
  const refusal = whyRefused(means, { ...head, hasCsrfField });
  if (refusal !== undefined) return refused(refusal, means, requestId);
  if (head.origin !== publicUrl || !hasCsrfField)
    return refused(REASONS.origin_refused, means, requestId);
  const id = hasSessionCookie(head.cookie) ? sessionIdOf(head.cookie) : undefined;
  let location = `${publicUrl}${SIGNED_OUT}`;
  if (id !== undefined) {
    const question: BrowserQuestion = { endpoint: "sign-out", id, returnTo: location };
    const atProvider = await main.ask(BROWSER_ENDPOINT, question, ANSWER_DEADLINE_MS);
    if (typeof atProvider === "string") location = atProvider;
  }
  const fields = ["Set-Cookie", writeCookie(SESSION_COOKIE, "", 0)];
  fields.push("Set-Cookie", writeCookie(FLOW_COOKIE, "", 0));
  if (isForm(head)) return seeOther(location, fields);
  return json({ signedOut: true, location }, fields);
}

/** Who is signed in, for pages of ours; never a token. Asking does not keep the session from being idle. */
async function showSession(means: Means, request: OwnRequest): Promise<ProblemAnswer> {
  const { head, requestId } = request;
  const refusal = whyRefused(means, head);
  if (refusal !== undefined) return refused(refusal, means, requestId);
  const id = hasSessionCookie(head.cookie) ? sessionIdOf(head.cookie) : undefined;
  const question: BrowserQuestion | undefined =
    id === undefined ? undefined : { endpoint: "session", id };
  const shown =
    question &&
    ((await means.main.ask(BROWSER_ENDPOINT, question, ANSWER_DEADLINE_MS)) as
      | ShownSession
      | undefined);
  if (shown === undefined) return json({ signedIn: false, signIn: `${OWN_PREFIX}sign-in` });
  const csrf = { field: "Tidegate-CSRF", value: "1" };
  return json({ signedIn: true, ...shown, csrf });
}

/** Steps 4 and 5 of the road, as far as they hold here. */
function whyRefused({ publicUrl }: Means, head: RequestHead): ReasonKind | undefined {
  const credential = kindOfCredential(head);
  const isDoubled = credential === "session" && sessionIdOf(head.cookie) === DOUBLED;
  if (credential === "ambiguous" || isDoubled) return REASONS.credential_ambiguous;
  const isForbidden = isFromForbiddenSite({
    head,
    route: { config: { origins: [], cors: undefined, navigable: false } },
    kind: CALL_KIND.request,
    allowedOrigins: new Set([publicUrl]),
  });
  return isForbidden ? REASONS.origin_refused : undefined;
}

const isForm = ({ fields }: RequestHead): boolean =>
  fieldValues(fields, "content-type").some((type) =>
    /^(?:application\/x-www-form-urlencoded|multipart\/form-data)\s*(?:;|$)/i.test(type),
  );

/**
 * A form cannot send a field of its own, but the browser says whose page it stands on: `same-origin` is us, port
 * included, and no page can write it (Fetch Metadata §2.2).
 */
const isOwnForm = (head: RequestHead): boolean =>
  isForm(head) && head.secFetchSite === "same-origin";

function refused(kind: ReasonKind, { typeBase }: Means, requestId: string): ProblemAnswer {
  return refusalProblem(kind, { typeBase, requestId });
}

function json(value: object, fields: readonly string[] = []): ProblemAnswer {
  return {
    status: 200,
    fields: [
      "Content-Type",
      "application/json",
      "Cache-Control",
      "no-store",
      "Vary",
      "Cookie",
      ...fields,
    ],
    body: `${JSON.stringify(value)}\n`,
  };
}

/** Longer than the provider's 10 s and the slowest turn of a sign-in. */
const ANSWER_DEADLINE_MS = 30_000;

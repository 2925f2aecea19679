import { OWN_PREFIX } from "../accept/own-endpoints.ts";
import type { ProblemAnswer } from "../forward/problem.ts";
import { browserPage } from "./browser-page.ts";

/** Why a sign-in did not come to an end, as people are told. */
export type SignInPage = keyof typeof PAGES;

/**
 * The page that says why, with a way on that a person chooses: nothing begins again by itself, so nothing can go round
 * in circles. @param fields flat list
 */
export function signInPage(
  name: SignInPage,
  {
    returnTo = "/",
    fields = [],
  }: { readonly returnTo?: string; readonly fields?: readonly string[] },
): ProblemAnswer {
  const { status, title, text, offersAgain } = PAGES[name];
  const again = { href: signInPath({ returnTo }), label: "Sign in again" };
  const home = { href: returnTo, label: "Go back" };
  const waits = status === 503 ? ["Retry-After", "5"] : [];
  const links = offersAgain ? [again, home] : [home];
  return browserPage({ status, title, text, links, fields: [...waits, ...fields] });
}

/** The path that begins a sign-in. */
export function signInPath(query: {
  readonly returnTo: string;
  readonly provider?: string;
}): string {
  return `${OWN_PREFIX}sign-in?${new URLSearchParams(query).toString()}`;
}

const page = (status: number, title: string, text: string, { offersAgain = true } = {}) => ({
  status,
  title,
  text,
  offersAgain,
});

const PAGES = {
  "no-flow": page(
    400,
    "This sign-in cannot be completed here",
    "Your browser does not have what it was given when the sign-in began. It may have taken longer than ten minutes, begun in another browser or window, or cookies may be switched off for this site.",
  ),
  "already-used": page(
    400,
    "This sign-in was completed before",
    "The address that you opened works only once.",
  ),
  "not-as-asked": page(
    400,
    "The answer of the sign-in service does not fit",
    "What came back is not the answer to what was asked, so nobody was signed in.",
  ),
  "provider-refused": page(
    403,
    "You were not signed in",
    "The sign-in service refused, or the sign-in was cancelled.",
  ),
  "level-not-reached": page(
    403,
    "The sign-in was not strong enough",
    "The sign-in service could not confirm your identity in the way that is needed. Your earlier sign-in is unchanged.",
    { offersAgain: false },
  ),
  "other-person": page(
    403,
    "You signed in as somebody else",
    "To confirm your identity, sign in with the account that you were using. Your earlier sign-in is unchanged.",
    { offersAgain: false },
  ),
  "provider-unavailable": page(
    503,
    "The sign-in service cannot be reached",
    "Please try again in a moment.",
  ),
  "provider-unsafe": page(
    500,
    "This sign-in service is not set up completely",
    "It does not name itself in its answers, and there are several. Its administrator finds the reason in the log.",
    { offersAgain: false },
  ),
  "provider-unknown": page(
    404,
    "There is no such sign-in service",
    "The link that led here is wrong.",
  ),
  "bad-step-up": page(
    400,
    "This cannot be asked for",
    "The link that led here asks for a kind of sign-in that nothing here needs.",
    { offersAgain: false },
  ),
  busy: page(503, "Too many people sign in at this moment", "Please try again in a moment."),
} as const;

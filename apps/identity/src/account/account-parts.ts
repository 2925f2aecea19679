import type { Clock } from "@tidegate/clock";
import { addressKey } from "@tidegate/limits";
import type { FastifyRequest } from "fastify";
import type { Browser, BrowserExchange } from "../browser/browser.ts";
import type { FlashMessage } from "../browser/flash.ts";
import type { People } from "../people/people.ts";
import type { Person } from "../people/person.ts";
import { seeOther } from "../web/identity-app.ts";
import type { SessionDirectory } from "./session-directory.ts";
import type { SignedInPerson, SignedInSource } from "./signed-in-person.ts";

/** What the account pages are made of. */
export interface AccountParts {
  readonly people: People;
  readonly browser: Browser;
  readonly signedIn: SignedInSource;
  readonly sessions: SessionDirectory;
  readonly clock: Clock;
}

/** Whom a limit counts: the address, or the prefix of an IPv6 one. */
export const networkOf = (request: FastifyRequest): string => addressKey(request.ip) ?? request.ip;

/** Who is signed in, with what the store knows about them now; undefined when nobody is. */
export async function findSignedIn(
  { people, signedIn }: AccountParts,
  request: FastifyRequest,
): Promise<(SignedInPerson & { readonly person: Person }) | undefined> {
  const who = await signedIn.find(request);
  const person = who && (await people.store.find(who.personId));
  return who === undefined || person === undefined || person.isDisabled
    ? undefined
    : { ...who, person };
}

/** Sends the browser to `location`, where `message` is told. */
export function tell(
  { browser }: AccountParts,
  { reply }: BrowserExchange,
  {
    location,
    ...message
  }: Omit<FlashMessage, "values" | "problems"> & {
    readonly location: string;
    readonly problems?: Readonly<Record<string, string>>;
    readonly values?: Readonly<Record<string, string>>;
  },
) {
  browser.flash.set(reply, { problems: {}, values: {}, ...message });
  return seeOther(reply, location);
}

/** The problem that a wait is told as. */
export const waitProblem = (answer: {
  readonly outcome: "wait" | "busy";
  readonly retryAfterMs: number;
}) => ({
  problems: { form: answer.outcome },
  retryAfterSeconds: Math.ceil(answer.retryAfterMs / 1_000),
});

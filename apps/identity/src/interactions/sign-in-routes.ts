import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { networkOf } from "../account/account-parts.ts";
import type { Browser } from "../browser/browser.ts";
import { keepDeviceToken, readDeviceTokens } from "../browser/device-cookie.ts";
import { stateOf } from "../browser/flash.ts";
import { readField, readParameter } from "../browser/form-fields.ts";
import { parseOwnPath } from "../browser/own-path.ts";
import type { IdentityEvents } from "../events.ts";
import { signInPage } from "../pages/sign-in-page.ts";
import { nameDevice } from "../people/device-name.ts";
import type { People } from "../people/people.ts";
import type { Person } from "../people/person.ts";
import type { BrowserSessions } from "../provider/browser-sessions.ts";
import { PASSWORD_LEVEL } from "../provider/levels.ts";
import { seeOther, sendPage } from "../web/identity-app.ts";
import type { Interaction, InteractionFlow } from "./interaction-flow.ts";

export interface SignInParts {
  readonly people: People;
  readonly browser: Browser;
  readonly browserSessions: BrowserSessions;
  readonly flow: InteractionFlow;
  readonly events: IdentityEvents;
  readonly nowMs: () => number;
}

const FORM = "sign-in";

/** /sign-in: for a client that sent the browser here (`/sign-in/:uid`), and for the account pages (`/sign-in?returnTo=`). */
export function addSignIn(app: FastifyInstance, parts: SignInParts): void {
  addSignInForClients(app, parts);
  addSignInForAccount(app, parts);
}

function addSignInForClients(app: FastifyInstance, parts: SignInParts): void {
  const { browser, browserSessions, flow, events, people } = parts;

  app.get<{ Params: { uid: string } }>("/sign-in/:uid", async (request, reply) => {
    const interaction = await flow.find(request, request.params.uid);
    const client = await flow.clientOf(interaction);
    const session = await browserSessions.current(request);
    if (session?.accountId !== undefined && isSignedInSince(session, interaction)) {
      // They registered, or signed in elsewhere in this browser, while this page was open.
      const login = {
        accountId: session.accountId,
        ts: session.authTime() ?? 0,
        ...(session.acr !== undefined && { acr: session.acr }),
        ...(session.amr !== undefined && { amr: session.amr }),
      };
      return seeOther(reply, await flow.finish(request, interaction, { login }));
    }
    const here = `/sign-in/${interaction.uid}`;
    const exchange = { request, reply };
    const page = signInPage({
      action: here,
      formToken: browser.forms.issue(exchange),
      form: stateOf(browser.flash.take(exchange, FORM)),
      clientName: client.name,
      login: await loginNameFor(parts, interaction),
      isAgain: interaction.session !== undefined,
      registerUrl: people.registration.isOpen ? withContinue("/register", here) : undefined,
      resetUrl: withContinue("/reset", here),
      cancelUrl: `${here}/cancel`,
    });
    return sendPage(reply, page, { formTargets: [client.formTarget] });
  });

  app.post<{ Params: { uid: string } }>("/sign-in/:uid", async (request, reply) => {
    browser.checkForm(request);
    const interaction = await flow.find(request, request.params.uid);
    const person = await attempt(parts, { request, reply });
    if (person === undefined) return seeOther(reply, `/sign-in/${interaction.uid}`);
    const { acr, amr } = PASSWORD_LEVEL;
    const login = {
      accountId: person.id,
      acr,
      amr: [...amr],
      ts: Math.floor(parts.nowMs() / 1_000),
    };
    events.signedIn({
      personId: person.id,
      network: networkOf(request),
      acr,
      clientId: String(interaction.params["client_id"]),
    });
    return seeOther(reply, await flow.finish(request, interaction, { login }));
  });

  app.get<{ Params: { uid: string } }>("/sign-in/:uid/cancel", async (request, reply) => {
    const interaction = await flow.find(request, request.params.uid);
    events.interactionCancelled({ clientId: String(interaction.params["client_id"]) });
    const result = { error: "access_denied", error_description: "the person cancelled" };
    return seeOther(reply, await flow.finish(request, interaction, result));
  });
}

function addSignInForAccount(app: FastifyInstance, parts: SignInParts): void {
  const { browser, browserSessions, events, people } = parts;

  app.get("/sign-in", async (request, reply) => {
    const returnTo = parseOwnPath(readParameter(request, "returnTo")) ?? "/account";
    if ((await browserSessions.find(request)) !== undefined) return seeOther(reply, returnTo);
    const exchange = { request, reply };
    const page = signInPage({
      action: `/sign-in?${new URLSearchParams({ returnTo }).toString()}`,
      formToken: browser.forms.issue(exchange),
      form: stateOf(browser.flash.take(exchange, FORM)),
      clientName: undefined,
      registerUrl: people.registration.isOpen ? "/register" : undefined,
      resetUrl: "/reset",
    });
    return sendPage(reply, page);
  });

  app.post("/sign-in", async (request, reply) => {
    browser.checkForm(request);
    const returnTo = parseOwnPath(readParameter(request, "returnTo")) ?? "/account";
    const person = await attempt(parts, { request, reply });
    if (person === undefined) {
      return seeOther(reply, `/sign-in?${new URLSearchParams({ returnTo }).toString()}`);
    }
    await browserSessions.signIn(
      { request, reply },
      { personId: person.id, level: PASSWORD_LEVEL },
    );
    const facts = { personId: person.id, network: networkOf(request), acr: PASSWORD_LEVEL.acr };
    events.signedIn(facts);
    return seeOther(reply, returnTo);
  });
}

/** Checks what was typed. On success the browser is known from now on; otherwise it is told why on the next page. */
async function attempt(
  { people, browser, events, nowMs }: SignInParts,
  exchange: { readonly request: FastifyRequest; readonly reply: FastifyReply },
): Promise<Person | undefined> {
  const { request, reply } = exchange;
  const login = readField(request, "login");
  const network = networkOf(request);
  const deviceTokens = readDeviceTokens(request);
  const answer = await people.signIn.attempt({
    login,
    password: readField(request, "password"),
    network,
    deviceTokens,
  });
  if (answer.outcome !== "accepted") {
    events.signInRefused({ network, why: answer.outcome });
    browser.flash.set(reply, {
      form: FORM,
      values: { login },
      problems: { form: answer.outcome === "refused" ? "credentials" : answer.outcome },
      ...(answer.outcome !== "refused" && {
        retryAfterSeconds: Math.ceil(answer.retryAfterMs / 1_000),
      }),
    });
    return undefined;
  }
  const { person } = answer;
  const userAgent = request.headers["user-agent"] ?? "";
  const greeting = await people.devices.greet({
    personId: person.id,
    tokens: deviceTokens,
    userAgent,
  });
  keepDeviceToken(exchange, greeting.token);
  if (greeting.isNew && !greeting.isFirst && person.email !== undefined && person.isEmailVerified) {
    const to = { email: person.email, loginName: person.loginName };
    const visit = { device: nameDevice(userAgent), atMs: nowMs() };
    people.mail.post("new-sign-in", people.letters.newSignIn(to, visit));
  }
  return person;
}

/** Whether the browser's session is newer than the question: then it is the answer. */
function isSignedInSince(
  session: { readonly uid: string; authTime(): number | undefined },
  interaction: Interaction,
): boolean {
  if (interaction.prompt.name !== "login") return false;
  if (interaction.session?.uid !== session.uid) return true;
  return (session.authTime() ?? 0) > interaction.iat;
}

/** What stands in the form already: who is to confirm, or whom the client expects. */
async function loginNameFor({ people }: SignInParts, interaction: Interaction): Promise<string> {
  const known = interaction.session?.accountId;
  if (known !== undefined) return (await people.store.find(known))?.loginName ?? "";
  const hint = interaction.params["login_hint"];
  return typeof hint === "string" ? hint.slice(0, 254) : "";
}

const withContinue = (path: string, here: string): string =>
  `${path}?${new URLSearchParams({ continue: here }).toString()}`;

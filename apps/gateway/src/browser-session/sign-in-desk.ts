import type { ProfileClaim } from "@tidegate/auth";
import type { Clock, Random } from "@tidegate/clock";
import { OWN_PREFIX } from "../accept/own-endpoints.ts";
import type { ProblemAnswer } from "../forward/problem.ts";
import { signInFailed } from "../record/events.ts";
import type { Log } from "../record/logger.ts";
import { browserPage, seeOther } from "./browser-page.ts";
import { FLOW_COOKIE, writeCookie } from "./cookies.ts";
import {
  beginFlow,
  findFlow,
  FLOW_LIFETIME_MS,
  flowSecrets,
  readFlows,
  writeFlows,
  type Flow,
} from "./flow-cookie.ts";
import { SESSION_COOKIE } from "../identify/presented-credential.ts";
import type { GrantedTokens, ProviderAnswer } from "./provider-client.ts";
import { toReturnPath } from "./return-to.ts";
import type { SealingKeys } from "./sealing-keys.ts";
import {
  nameIn,
  readSessionClaims,
  toProviderLevels,
  type SessionClaims,
} from "./session-claims.ts";
import type { BrowserProvider } from "./browser-provider.ts";
import type { SessionKeeper } from "./session-keeper.ts";
import type { SessionRecord } from "./session-record.ts";
import { SignInPace } from "./sign-in-pace.ts";
import { completeProfile } from "./sign-in-profile.ts";
import { signInPage, signInPath, type SignInPage } from "./sign-in-pages.ts";

/** What a browser brought. */
export interface BrowserCall {
  /** Our own origin, from which every redirect is built. */
  readonly publicUrl: string;
  /** With its leading `?`, or empty. */
  readonly query: string;
  /** Of the callback alone: the provider whose own callback it came to. */
  readonly callbackOf: string | undefined;
  /** Value of the flow cookie. */
  readonly flows: string | undefined;
  /** Id of the session that its cookie names. */
  readonly session: string | undefined;
  readonly network: string;
}

/**
 * Signs people in: sends them to their provider and takes them back (OpenID Connect Core §3.1, authorization code with
 * PKCE). Main thread only.
 */
export class SignInDesk {
  readonly #providers: ReadonlyMap<string, BrowserProvider>;
  readonly #keeper: SessionKeeper;
  readonly #keys: SealingKeys;
  readonly #levels: ReadonlySet<string>;
  readonly #profileClaims: ReadonlySet<ProfileClaim>;
  readonly #sessionSeconds: number;
  readonly #log: Log;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #pace: SignInPace;
  /**
   * Flows whose answer came, by state, until they would have run out: each completes once, though an old copy of the
   * cookie still has it. Bounded; beyond it the provider alone refuses a used code (RFC 6749 §4.1.2).
   */
  readonly #completed = new Map<string, number>();

  constructor(options: {
    readonly providers: ReadonlyMap<string, BrowserProvider>;
    readonly keeper: SessionKeeper;
    readonly keys: SealingKeys;
    /** Levels that some route asks for: no other can be asked for by a link. */
    readonly levels: ReadonlySet<string>;
    /** What of a person some route tells its upstream. */
    readonly profileClaims: ReadonlySet<ProfileClaim>;
    readonly sessionSeconds: number;
    readonly log: Log;
    readonly clock: Clock;
    readonly random: Random;
  }) {
    this.#providers = options.providers;
    this.#keeper = options.keeper;
    this.#keys = options.keys;
    this.#levels = options.levels;
    this.#profileClaims = options.profileClaims;
    this.#sessionSeconds = options.sessionSeconds;
    this.#log = options.log;
    this.#clock = options.clock;
    this.#random = options.random;
    this.#pace = new SignInPace(options.clock);
  }

  /** `GET /sign-in?returnTo=…[&provider=name][&prompt=login|select_account]` */
  async signIn(call: BrowserCall): Promise<ProblemAnswer> {
    const query = new URLSearchParams(call.query);
    const returnTo = toReturnPath(query.get("returnTo"), call.publicUrl);
    const name = query.get("provider");
    const [only, ...others] = this.#providers.keys();
    if (name === null && others.length > 0) return this.#choice(returnTo);
    const provider = this.#providers.get(name ?? only ?? "");
    if (provider === undefined) return signInPage("provider-unknown", { returnTo });
    const prompt = query.get("prompt") ?? "";
    return await this.#begin(call, provider, {
      returnTo,
      acr: [],
      prompt: PROMPTS.has(prompt) ? prompt : undefined,
    });
  }

  /** `GET /step-up?acr=…&maxAge=…&returnTo=…`: the same person, signed in anew or in another way (RFC 9470 §4). */
  async stepUp(call: BrowserCall): Promise<ProblemAnswer> {
    const query = new URLSearchParams(call.query);
    const returnTo = toReturnPath(query.get("returnTo"), call.publicUrl);
    const acr = (query.get("acr") ?? "").split(" ").filter((one) => one !== "");
    const maxAge = query.get("maxAge");
    const isKnown = acr.every((one) => this.#levels.has(one));
    const isAge = maxAge === null || /^\d{1,8}$/.test(maxAge);
    if (!isKnown || !isAge || (acr.length === 0 && maxAge === null))
      return signInPage("bad-step-up", { returnTo });
    const session = call.session === undefined ? undefined : this.#keeper.find(call.session);
    const [only, ...others] = this.#providers.keys();
    const provider = this.#providers.get(
      session?.provider ?? (others.length > 0 ? "" : (only ?? "")),
    );
    // Nobody is signed in: there is nothing to raise, and the level is asked for again once somebody is.
    if (provider === undefined) return this.#choice(returnTo);
    const prompt = query.get("prompt") ?? "";
    return await this.#begin(call, provider, {
      returnTo,
      acr,
      maxAgeSeconds: maxAge === null ? undefined : Number(maxAge),
      session,
      prompt: prompt === "login" ? prompt : undefined,
    });
  }

  /** `GET /callback`: what the provider answered, by way of the browser. */
  async callback(call: BrowserCall): Promise<ProblemAnswer> {
    const query = new URLSearchParams(call.query);
    const flows = readFlows(call.flows, { keys: this.#keys, clock: this.#clock });
    const states = query.getAll("state");
    const flow = states.length === 1 ? findFlow(flows, states[0] ?? null) : undefined;
    const provider = flow === undefined ? undefined : this.#providers.get(flow.provider);
    if (flow === undefined || provider === undefined)
      return this.#fail("no-flow", { why: "no flow" });
    // It is over, whatever comes of it: one answer, one try.
    const cookie = flowCookie(
      flows.filter((other) => other !== flow),
      this.#keys,
    );
    const means = { flow, provider, fields: ["Set-Cookie", cookie] };
    const secrets = flowSecrets(flow);
    if (!this.#complete(secrets.state, flow))
      return this.#fail("already-used", { ...means, why: "" });
    const isOwn =
      call.callbackOf === (provider.config.browser?.ownCallback ? provider.name : undefined);
    if (!isOwn) return this.#fail("not-as-asked", { ...means, why: "came to another callback" });
    if (!(await this.#pace.turn(call.network))) return this.#fail("busy", { ...means, why: "" });
    const url = new URL(callbackUrl(call.publicUrl, provider) + call.query);
    const answer = await provider.client.redeem(url, {
      ...secrets,
      maxAgeSeconds: flow.maxAgeSeconds,
    });
    if (answer.outcome !== "granted")
      return this.#fail(pageOf(answer), { ...means, why: whyOf(answer) });
    return await this.#welcome(call, answer.value, means);
  }

  async #begin(
    call: BrowserCall,
    provider: BrowserProvider,
    wanted: {
      readonly returnTo: string;
      readonly acr: readonly string[];
      readonly maxAgeSeconds?: number | undefined;
      readonly session?: SessionRecord | undefined;
      readonly prompt: string | undefined;
    },
  ): Promise<ProblemAnswer> {
    const { returnTo, acr, maxAgeSeconds, session, prompt } = wanted;
    if (!(await this.#pace.turn(call.network))) return signInPage("busy", { returnTo });
    if (this.#providers.size > 1 && provider.config.browser?.ownCallback !== true) {
      // RFC 9700 §4.4: an answer without its sender could be another provider's.
      const names = await provider.client.namesItself();
      if (names.outcome !== "granted")
        return this.#fail("provider-unavailable", { provider, why: whyOf(names) });
      if (!names.value)
        return this.#fail("provider-unsafe", { provider, why: "set browser.ownCallback for it" });
    }
    const flow = beginFlow(
      {
        provider: provider.name,
        returnTo,
        acr,
        maxAgeSeconds,
        person: session && personOf(session),
      },
      { clock: this.#clock, random: this.#random },
    );
    const { state, nonce, challenge } = flowSecrets(flow);
    const answer = await provider.client.authorizationUrl({
      redirectUri: callbackUrl(call.publicUrl, provider),
      state,
      nonce,
      challenge,
      acr: toProviderLevels(acr, provider.config),
      maxAgeSeconds,
      prompt,
      idTokenHint: session?.secrets.idToken,
    });
    if (answer.outcome !== "granted")
      return this.#fail("provider-unavailable", { provider, why: whyOf(answer) });
    const flows = readFlows(call.flows, { keys: this.#keys, clock: this.#clock });
    return seeOther(answer.value.href, ["Set-Cookie", flowCookie([...flows, flow], this.#keys)]);
  }

  async #welcome(
    call: BrowserCall,
    tokens: GrantedTokens,
    means: {
      readonly flow: Flow;
      readonly provider: BrowserProvider;
      readonly fields: readonly string[];
    },
  ): Promise<ProblemAnswer> {
    const { flow, provider, fields } = means;
    const { config, verifier } = provider;
    const read = await readSessionClaims(tokens, {
      config,
      verifier,
      clock: this.#clock,
      subject: undefined,
    });
    if ("why" in read) {
      await this.#drop(provider, tokens);
      const page = read.isOutage ? "provider-unavailable" : "not-as-asked";
      return this.#fail(page, { ...means, why: read.why });
    }
    const { claims } = read;
    const old = call.session === undefined ? undefined : this.#keeper.find(call.session);
    const unfit = whyUnfit(flow, claims, { config, old });
    if (unfit !== undefined) {
      await this.#drop(provider, tokens);
      return this.#fail(unfit, { ...means, why: "" });
    }
    const completed = await completeProfile(tokens, {
      subject: claims.subject,
      known: claims.profile,
      wanted: this.#profileClaims,
      provider,
      log: this.#log,
    });
    if ("why" in completed) {
      await this.#drop(provider, tokens);
      return this.#fail("not-as-asked", { ...means, why: completed.why });
    }
    const { profile } = completed;
    const { secret } = await this.#keeper.begin(provider, tokens, {
      claims: { ...claims, profile, name: nameIn(profile) },
      old,
    });
    const cookie = writeCookie(SESSION_COOKIE, secret, this.#sessionSeconds);
    return seeOther(`${call.publicUrl}${flow.returnTo}`, [...fields, "Set-Cookie", cookie]);
  }

  /** Tokens that nobody will use. */
  async #drop({ client }: BrowserProvider, { refreshToken }: GrantedTokens): Promise<void> {
    if (refreshToken !== undefined) await client.revoke(refreshToken);
  }

  #complete(state: string, { beganMs }: Flow): boolean {
    const nowMs = this.#clock.wallMs();
    for (const [known, untilMs] of this.#completed) {
      if (untilMs > nowMs && this.#completed.size < MOST_COMPLETED) break;
      this.#completed.delete(known);
    }
    if (this.#completed.has(state)) return false;
    this.#completed.set(state, beganMs + FLOW_LIFETIME_MS);
    return true;
  }

  #fail(
    page: SignInPage,
    {
      flow,
      provider,
      why,
      fields,
    }: {
      readonly flow?: Flow;
      readonly provider?: BrowserProvider;
      readonly why: string;
      readonly fields?: readonly string[];
    },
  ): ProblemAnswer {
    signInFailed(this.#log, { provider: provider?.name ?? "", page, why });
    return signInPage(page, { returnTo: flow?.returnTo ?? "/", ...(fields && { fields }) });
  }

  #choice(returnTo: string): ProblemAnswer {
    return browserPage({
      status: 200,
      title: "Sign in",
      text: "Choose where you have your account.",
      isChoice: true,
      links: [...this.#providers.values()].map(({ name, config }) => ({
        href: signInPath({ returnTo, provider: name }),
        label: config.browser?.label ?? name,
      })),
    });
  }
}

/** Where a provider sends people back to. It must be registered there exactly so (RFC 9700 §2.1). */
function callbackUrl(publicUrl: string, { name, config }: BrowserProvider): string {
  const own = config.browser?.ownCallback === true ? `/${name}` : "";
  return `${publicUrl}${OWN_PREFIX}callback${own}`;
}

function flowCookie(flows: readonly Flow[], keys: SealingKeys): string {
  return writeCookie(FLOW_COOKIE, writeFlows(flows, keys), FLOW_LIFETIME_MS / 1_000);
}

const personOf = ({ issuer, subject }: SessionRecord): string => JSON.stringify([issuer, subject]);

/** A step-up is for the person who began it, and reaches what was asked, or changes nothing. */
function whyUnfit(
  { person, acr }: Flow,
  claims: SessionClaims,
  {
    config,
    old,
  }: { readonly config: BrowserProvider["config"]; readonly old: SessionRecord | undefined },
): SignInPage | undefined {
  const now = JSON.stringify([config.issuer, claims.subject]);
  if (person !== undefined && (person !== now || (old !== undefined && personOf(old) !== now)))
    return "other-person";
  return acr.length > 0 && !acr.includes(claims.acr) ? "level-not-reached" : undefined;
}

type Failure = Exclude<ProviderAnswer<unknown>, { outcome: "granted" }>;

function pageOf(answer: Failure): SignInPage {
  switch (answer.outcome) {
    case "refused":
      // RFC 9470 §5, OpenID Connect Unmet Authentication Requirements 1.0.
      return answer.error === "unmet_authentication_requirements"
        ? "level-not-reached"
        : "provider-refused";
    case "invalid":
      return answer.isTooOld ? "level-not-reached" : "not-as-asked";
    case "unavailable":
      return "provider-unavailable";
  }
}

const whyOf = ({ why }: { readonly why?: string }): string => why ?? "";

const PROMPTS = new Set(["login", "select_account"]);
const MOST_COMPLETED = 65_536;

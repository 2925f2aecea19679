import {
  createLogoutTokenVerifier,
  createSecurityEventVerifier,
  parseToken,
  type EventTokenVerifier,
  type EventVerification,
  type Logout,
  type Revocation,
  type SecurityEvent,
} from "@tidegate/auth";
import type { Clock, Random } from "@tidegate/clock";
import type { GatewayConfig } from "../config/schema.ts";
import { Fault } from "../fault.ts";
import { eventReportRefused } from "../record/events.ts";
import { recordKeyLoads } from "../record/key-loads.ts";
import type { Log } from "../record/logger.ts";
import type { DataThreads } from "../worker/data-threads.ts";
import { ReportMemory } from "./report-memory.ts";
import type { RevocationDesk } from "./revocation-desk.ts";

/** Asked by workers, with the token's text. */
export const LOGOUT_REPORT = "logout-report";
export const EVENT_REPORT = "event-report";

/** What a report came to; the endpoints write it on the wire. */
export type ReportAnswer =
  | { readonly outcome: "taken" }
  /** `error`: the code of RFC 8935 §2.4. */
  | { readonly outcome: "refused"; readonly error: ReportError }
  | { readonly outcome: "unavailable"; readonly retryAfterMs: number };

export type ReportError =
  | "invalid_request"
  | "invalid_key"
  | "invalid_issuer"
  | "invalid_audience"
  | "authentication_failed";

/** Who may report, and what each of them may end. */
interface Reporter<Event> {
  readonly name: string;
  readonly verifier: EventTokenVerifier<Event>;
}

interface Transmitter extends Reporter<SecurityEvent> {
  readonly issuer: string;
  /** Issuers whose sessions it may end. */
  readonly speaksFor: ReadonlySet<string>;
}

/**
 * Takes reports of ended sessions: logout tokens of providers, shared signals of transmitters. On the main thread, so
 * that one report counts once over all workers, and a flood of them costs no worker its time.
 */
export class EventReports implements Disposable {
  readonly #providers = new Map<string, Reporter<Logout>>();
  readonly #transmitters = new Map<string, Transmitter>();
  readonly #seen: ReportMemory;
  readonly #desk: Pick<RevocationDesk, "revoke">;
  readonly #log: Log;

  constructor(options: {
    readonly config: Pick<GatewayConfig, "identity" | "revocation">;
    readonly desk: Pick<RevocationDesk, "revoke">;
    readonly dataThreads: Pick<DataThreads, "answer">;
    readonly log: Log;
    readonly clock: Clock;
    readonly random: Random;
  }) {
    const { config, clock, random, log, dataThreads } = options;
    this.#desk = options.desk;
    this.#log = log;
    this.#seen = new ReportMemory(clock);
    const issuers = new Map<string, string>();
    for (const [name, issuer] of Object.entries(config.identity)) {
      if (issuer.kind !== "oidc") continue;
      issuers.set(name, issuer.issuer);
      if (issuer.client === undefined) continue;
      const verifier = createLogoutTokenVerifier({
        issuer: issuer.issuer,
        audience: issuer.client.id,
        algorithms: issuer.algorithms,
        tokenTypes: issuer.logoutTokenTypes,
        clockToleranceSeconds: issuer.clockToleranceSeconds,
        maxKeyAgeMs: issuer.maxKeyAgeMs,
        clock,
        random,
        onKeyLoad: recordKeyLoads(log, `${name} (logout tokens)`),
      });
      this.#providers.set(keyOf(issuer.issuer, issuer.client.id), { name, verifier });
    }
    for (const [name, transmitter] of Object.entries(config.revocation.transmitters)) {
      const { issuer, audience, algorithms, clockToleranceSeconds } = transmitter;
      const verifier = createSecurityEventVerifier({
        issuer,
        audience,
        algorithms,
        tokenTypes: ["secevent+jwt"],
        clockToleranceSeconds,
        maxKeyAgeMs: MAX_KEY_AGE_MS,
        clock,
        random,
        onKeyLoad: recordKeyLoads(log, `${name} (signals)`),
      });
      const speaksFor = new Set(transmitter.speaksFor.flatMap((one) => issuers.get(one) ?? []));
      this.#transmitters.set(keyOf(issuer, audience), { name, issuer, verifier, speaksFor });
    }
    dataThreads.answer(LOGOUT_REPORT, (token) => this.logout(token as string));
    dataThreads.answer(EVENT_REPORT, (token) => this.event(token as string));
  }

  /** A logout token (OpenID Connect Back-Channel Logout 1.0 §2.5). The same one twice is refused. */
  async logout(token: string): Promise<ReportAnswer> {
    const provider = reporterOf(this.#providers, token);
    if (provider === undefined) return this.#refuse("logout token", "", "issuer");
    const checked = await provider.verifier.verify(token);
    if (checked.outcome !== "accepted")
      return this.#answerTo(checked, "logout token", provider.name);
    const { tokenId, expiresSeconds, subject, sessionId, atSeconds } = checked.event;
    const issuer = issuerOf(token);
    const key = JSON.stringify([issuer, tokenId]);
    if (!this.#seen.take(key, expiresSeconds * 1_000))
      return this.#refuse("logout token", provider.name, "replayed");
    // With a session the subject only says whose it is.
    const revocation: Revocation =
      sessionId === ""
        ? { kind: "subject", issuer, subject, atSeconds }
        : { kind: "session", issuer, sessionId };
    return await this.#revoke(revocation, `back-channel logout of ${provider.name}`, key);
  }

  /** A security event token, pushed (RFC 8935 §2). One that was delivered before is taken again, and changes nothing. */
  async event(token: string): Promise<ReportAnswer> {
    const transmitter = reporterOf(this.#transmitters, token);
    if (transmitter === undefined) return this.#refuse("signal", "", "issuer");
    const checked = await transmitter.verifier.verify(token);
    if (checked.outcome !== "accepted") return this.#answerTo(checked, "signal", transmitter.name);
    const { tokenId, expiresSeconds, sessionRevoked } = checked.event;
    if (sessionRevoked === undefined) return TAKEN;
    // A session without an issuer is one of the transmitter's own.
    const issuer = sessionRevoked.issuer === "" ? transmitter.issuer : sessionRevoked.issuer;
    if (!transmitter.speaksFor.has(issuer))
      return this.#refuse("signal", transmitter.name, "speaks for somebody else's issuer");
    const key = JSON.stringify([transmitter.issuer, tokenId]);
    if (!this.#seen.take(key, expiresSeconds * 1_000)) return TAKEN;
    const { subject, sessionId, atSeconds } = sessionRevoked;
    const revocation: Revocation =
      sessionId === ""
        ? { kind: "subject", issuer, subject, atSeconds }
        : { kind: "session", issuer, sessionId };
    return await this.#revoke(revocation, `signal of ${transmitter.name}`, key);
  }

  [Symbol.dispose](): void {
    for (const { verifier } of this.#providers.values()) verifier[Symbol.dispose]();
    for (const { verifier } of this.#transmitters.values()) verifier[Symbol.dispose]();
  }

  async #revoke(revocation: Revocation, source: string, key: string): Promise<ReportAnswer> {
    try {
      await this.#desk.revoke([revocation], source);
      return TAKEN;
    } catch (error) {
      // It did not come to anything: who reports it again must not be told that we have heard it.
      this.#seen.forget(key);
      if (error instanceof Fault) return { outcome: "unavailable", retryAfterMs: RETRY_AFTER_MS };
      throw error;
    }
  }

  #answerTo(
    checked: Exclude<EventVerification<unknown>, { outcome: "accepted" }>,
    what: "logout token" | "signal",
    who: string,
  ): ReportAnswer {
    return checked.outcome === "unavailable" ? checked : this.#refuse(what, who, checked.why);
  }

  #refuse(what: "logout token" | "signal", who: string, why: string): ReportAnswer {
    eventReportRefused(this.#log, { what, who, why });
    return { outcome: "refused", error: ERRORS[why] ?? "invalid_request" };
  }
}

/** RFC 8935 §2.4. Coarse: what exactly was wrong is for our log. */
const ERRORS: Readonly<Record<string, ReportError>> = {
  issuer: "invalid_issuer",
  audience: "invalid_audience",
  "key-unknown": "invalid_key",
  signature: "authentication_failed",
};

const TAKEN: ReportAnswer = { outcome: "taken" };
const RETRY_AFTER_MS = 5_000;
/** As for providers. */
const MAX_KEY_AGE_MS = 86_400_000;

const keyOf = (issuer: string, audience: string): string => JSON.stringify([issuer, audience]);

/** Whom the unverified token claims to be from; its verifier finds out whether that is true. */
function reporterOf<One>(reporters: ReadonlyMap<string, One>, token: string): One | undefined {
  const { iss, aud } = parseToken(token)?.payload ?? {};
  const audience: unknown = Array.isArray(aud) ? aud[0] : aud;
  if (typeof iss !== "string" || typeof audience !== "string") return undefined;
  return reporters.get(keyOf(iss, audience));
}

const issuerOf = (token: string): string => String(parseToken(token)?.payload["iss"]);

import { createHash } from "node:crypto";
import type { Clock, Random, Timer } from "@tidegate/clock";
import type { GatewayConfig } from "../config/schema.ts";
import { sessionBegan, sessionEnded, sessionNotWritten } from "../record/events.ts";
import type { Log } from "../record/logger.ts";
import type { DataThreads } from "../worker/data-threads.ts";
import type { BrowserProvider } from "./browser-provider.ts";
import type { GrantedTokens } from "./provider-client.ts";
import type { SessionClaims } from "./session-claims.ts";
import { toGrant } from "./session-grant.ts";
import {
  SESSION_MOVED,
  SESSIONS_ENDED,
  type SessionEnd,
  type SessionMoved,
  type SessionsEnded,
  type ShownSession,
  type SessionView,
} from "./session-news.ts";
import type { SessionRecord } from "./session-record.ts";
import { REST_MS, SessionRefresher } from "./session-refresher.ts";
import type { SessionStore } from "./session-store.ts";

/**
 * Keeps browser sessions: begins, renews, moves and ends them. Lives on the main thread alone: what
 * ends here is ended for every worker.
 */
export class SessionKeeper implements Disposable {
  readonly #store: SessionStore;
  readonly #providers: ReadonlyMap<string, BrowserProvider>;
  readonly #limits: GatewayConfig["sessions"];
  readonly #dataThreads: Pick<DataThreads, "tell">;
  readonly #log: Log;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #refresher: SessionRefresher;
  /** Uses that are not written yet; at most the sessions used within `WRITE_USES_MS`. */
  #uses = new Map<string, number>();
  #timer: Timer;

  constructor(options: {
    readonly store: SessionStore;
    readonly providers: ReadonlyMap<string, BrowserProvider>;
    readonly limits: GatewayConfig["sessions"];
    readonly dataThreads: Pick<DataThreads, "tell">;
    readonly log: Log;
    readonly clock: Clock;
    readonly random: Random;
  }) {
    this.#store = options.store;
    this.#providers = options.providers;
    this.#limits = options.limits;
    this.#dataThreads = options.dataThreads;
    this.#log = options.log;
    this.#clock = options.clock;
    this.#random = options.random;
    this.#refresher = new SessionRefresher({
      ...options,
      end: (record) => this.end([record], "refused-by-provider"),
    });
    this.#timer = this.#clock.after(WRITE_USES_MS, this.#tend);
  }

  /** The session now, or undefined when it is over. Nothing is renewed, and it does not count as used. */
  find(id: string): SessionRecord | undefined {
    const record = this.#store.get(id);
    if (record === undefined) return undefined;
    const why = this.#whyOver(record);
    if (why === undefined) return record;
    void this.end([record], why);
    return undefined;
  }

  /**
   * Opens a session for a worker, renewed if it is time. An outage of the provider ends no session; it lets nobody in
   * beyond what was granted either.
   * @param isUse whether it keeps the session from being idle
   */
  async open(id: string, { isUse }: { readonly isUse: boolean }): Promise<SessionView> {
    let record = this.find(id);
    if (record === undefined) return { outcome: "gone" };
    if (isUse) this.#uses.set(id, this.#clock.wallMs());
    if (this.#clock.wallMs() >= record.renewMs) {
      await this.#refresher.refresh(record);
      // It may have been ended, moved or renewed meanwhile.
      record = this.find(id);
      if (record === undefined) return { outcome: "gone" };
    }
    const nowMs = this.#clock.wallMs();
    if (nowMs >= record.grantedUntilMs) return { outcome: "unavailable", retryAfterMs: REST_MS };
    const nextMs = nowMs >= record.renewMs ? nowMs + REST_MS : record.renewMs;
    const untilMs = Math.min(nextMs, record.grantedUntilMs, record.endsMs, nowMs + LOOK_AGAIN_MS);
    return this.#view(record, untilMs - nowMs);
  }

  /** What scripts may know of it. */
  show(record: SessionRecord, nowMs: number): ShownSession {
    const lastMs = Math.max(record.usedMs, this.#uses.get(record.id) ?? 0);
    const endsMs = Math.min(record.endsMs, lastMs + this.#limits.idleTimeoutSeconds * 1_000);
    return {
      name: record.secrets.name,
      provider: record.provider,
      expiresInSeconds: Math.max(0, Math.floor((endsMs - nowMs) / 1_000)),
      acr: record.acr,
      authTime: record.authTimeSeconds,
    };
  }

  /**
   * Begins a session under a new id, in the place of `old` if that is of the same person (sockets and tickets go on),
   * and ends `old` if it is of another one (session fixation, and two people at one browser).
   * @returns the cookie's value
   */
  async begin(
    provider: BrowserProvider,
    tokens: GrantedTokens,
    { claims, old }: { readonly claims: SessionClaims; readonly old: SessionRecord | undefined },
  ): Promise<{ readonly secret: string; readonly record: SessionRecord }> {
    // A refresh that came back to find its session moved would revoke a grant that both may share.
    if (old !== undefined) await this.#refresher.settled(old.id);
    const secret = this.#random.bytes(32).toString("base64url");
    const nowMs = this.#clock.wallMs();
    const endsMs = nowMs + this.#limits.absoluteTimeoutSeconds * 1_000;
    const record: SessionRecord = {
      ...toGrant(claims, {
        canRenew: tokens.refreshToken !== undefined,
        nowMs,
        endsMs,
        random: this.#random,
      }),
      id: sessionId(secret),
      provider: provider.name,
      issuer: provider.config.issuer,
      authTimeSeconds: claims.authTimeSeconds,
      acr: claims.acr,
      generation: 0,
      beganMs: nowMs,
      usedMs: nowMs,
      secrets: {
        refreshToken: tokens.refreshToken,
        idToken: tokens.idToken,
        name: claims.name,
        profile: claims.profile,
      },
    };
    const isSame = old?.issuer === record.issuer && old.subject === record.subject;
    if (old !== undefined && isSame) {
      this.#store.replace(old.id, record);
      this.#uses.delete(old.id);
      const moved: SessionMoved = { from: old.id, to: record.id };
      await this.#dataThreads.tell(SESSION_MOVED, moved, ACKNOWLEDGE_MS);
    } else {
      this.#store.put(record);
      if (old !== undefined) await this.end([old], "other-person");
    }
    sessionBegan(this.#log, {
      provider: provider.name,
      subject: record.subject,
      replaces: isSame,
      canRenew: tokens.refreshToken !== undefined,
    });
    await this.#endSurplus(record);
    return { secret, record };
  }

  /** Ends sessions everywhere, and revokes their refresh tokens at the provider. Resolves when every worker knows. */
  async end(records: readonly SessionRecord[], why: SessionEnd): Promise<void> {
    const ended = records.filter(({ id }) => this.#store.delete(id));
    if (ended.length === 0) return;
    for (const record of ended) {
      this.#uses.delete(record.id);
      sessionEnded(this.#log, { provider: record.provider, subject: record.subject, why });
      if (why !== "refused-by-provider")
        this.#refresher.revoke(record.provider, record.secrets.refreshToken);
    }
    const news: SessionsEnded = { ids: ended.map(({ id }) => id), why };
    await this.#dataThreads.tell(SESSIONS_ENDED, news, ACKNOWLEDGE_MS);
  }

  /**
   * Ends all sessions of a person, or those of one session at the provider; for revocation.
   * @param key.sid the provider's; @param key.signedInUntilSeconds only those whose sign-in was not later
   * @returns how many
   */
  async endOf(
    key:
      | { readonly issuer: string; readonly sid: string }
      | {
          readonly issuer: string;
          readonly subject: string;
          readonly signedInUntilSeconds?: number | undefined;
        },
  ): Promise<number> {
    const records =
      "sid" in key
        ? this.#store.ofProviderSession(key.issuer, key.sid)
        : this.#store.ofPerson(key.issuer, key.subject).filter(
            // As the index of revocations has it: where the provider is silent, our own session's beginning counts.
            ({ authTimeSeconds, beganMs }) =>
              (authTimeSeconds > 0 ? authTimeSeconds : Math.floor(beganMs / 1_000)) <=
              (key.signedInUntilSeconds ?? Number.POSITIVE_INFINITY),
          );
    await this.end(records, "revoked");
    return records.length;
  }

  [Symbol.dispose](): void {
    this.#timer.cancel();
    this.#store.touch(this.#uses);
  }

  #whyOver({ endsMs, usedMs, id, provider, issuer }: SessionRecord): SessionEnd | undefined {
    // Of an earlier configuration: nobody could renew it, and nobody here vouches for its person any more.
    if (this.#providers.get(provider)?.config.issuer !== issuer) return "not-configured";
    const nowMs = this.#clock.wallMs();
    if (nowMs >= endsMs) return "expired";
    const lastMs = Math.max(usedMs, this.#uses.get(id) ?? 0);
    return nowMs - lastMs >= this.#limits.idleTimeoutSeconds * 1_000 ? "idle" : undefined;
  }

  #view(record: SessionRecord, freshForMs: number): SessionView {
    return {
      outcome: "open",
      principal: {
        kind: "person",
        issuer: record.issuer,
        subject: record.subject,
        client: record.client,
        scopes: record.scopes,
        acr: record.acr,
        authTimeSeconds: record.authTimeSeconds,
        sessionCreatedSeconds: Math.floor(record.beganMs / 1_000),
        issuedAtSeconds: record.issuedAtSeconds,
        keyThumbprint: "",
        sessionId: record.providerSession,
        tokenId: record.tokenId,
        expiresAtMs: Math.min(record.grantedUntilMs, record.endsMs),
        ...(record.secrets.profile === undefined ? {} : { profile: record.secrets.profile }),
      },
      provider: record.provider,
      generation: record.generation,
      beganMs: record.beganMs,
      freshForMs,
    };
  }

  async #endSurplus({ issuer, subject, id }: SessionRecord): Promise<void> {
    const others = this.#store
      .ofPerson(issuer, subject)
      .filter((other) => other.id !== id)
      .toSorted((a, b) => this.#lastUse(b) - this.#lastUse(a));
    await this.end(others.slice(this.#limits.maxPerPerson - 1), "too-many");
  }

  #lastUse({ id, usedMs }: SessionRecord): number {
    return Math.max(usedMs, this.#uses.get(id) ?? 0);
  }

  #tend = (): void => {
    const uses = this.#uses;
    this.#uses = new Map();
    try {
      this.#store.touch(uses);
      const over = this.#store.over(this.#clock.wallMs(), this.#limits.idleTimeoutSeconds * 1_000);
      for (const record of over) {
        const why = this.#whyOver(record);
        if (why !== undefined) void this.end([record], why);
      }
    } catch (error) {
      // A disk that is full or busy now: the uses are written with the next ones.
      for (const [id, usedMs] of uses) if (!this.#uses.has(id)) this.#uses.set(id, usedMs);
      sessionNotWritten(this.#log, {
        error: error instanceof Error ? error : new Error(String(error)),
      });
    }
    this.#timer = this.#clock.after(WRITE_USES_MS, this.#tend);
  };
}

/** What is remembered of a cookie's value, here and on workers. */
export const sessionId = (secret: string): string =>
  createHash("sha256").update(secret).digest("base64url");

/** An ended session is ended on every worker within a second, or that worker is. */
const ACKNOWLEDGE_MS = 1_000;
/** A worker asks again after this: it is how exactly the last use of a session is known. */
const LOOK_AGAIN_MS = 60_000;
/** Losing the last uses in a crash makes a session idle this much earlier. */
const WRITE_USES_MS = 5_000;

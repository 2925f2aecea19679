import { mergeProfiles } from "@tidegate/auth";
import type { Clock, Random } from "@tidegate/clock";
import { sessionNotRenewed } from "../record/events.ts";
import type { Log } from "../record/logger.ts";
import type { BrowserProvider } from "./browser-provider.ts";
import { readSessionClaims } from "./session-claims.ts";
import { toGrant } from "./session-grant.ts";
import type { SessionRecord } from "./session-record.ts";
import type { SessionStore } from "./session-store.ts";

/**
 * Renews what providers granted. On the main thread alone, one refresh of a session at a time for all workers: refresh
 * tokens that are used twice end the whole grant at providers that rotate them (RFC 9700 §4.14.2).
 */
export class SessionRefresher {
  readonly #store: SessionStore;
  readonly #providers: ReadonlyMap<string, BrowserProvider>;
  readonly #end: (record: SessionRecord) => Promise<void>;
  readonly #log: Log;
  readonly #clock: Clock;
  readonly #random: Random;
  /** Refreshes under way, by session; at most `MOST_REFRESHES`. Whoever asks meanwhile waits for the same. */
  readonly #refreshing = new Map<string, Promise<void>>();
  /** Until when a provider that did not answer is not asked again; one entry per provider. */
  readonly #restingUntilMs = new Map<string, number>();

  /** @param options.end ends a session that its provider does not renew */
  constructor(options: {
    readonly store: SessionStore;
    readonly providers: ReadonlyMap<string, BrowserProvider>;
    readonly end: (record: SessionRecord) => Promise<void>;
    readonly log: Log;
    readonly clock: Clock;
    readonly random: Random;
  }) {
    this.#store = options.store;
    this.#providers = options.providers;
    this.#end = options.end;
    this.#log = options.log;
    this.#clock = options.clock;
    this.#random = options.random;
  }

  /** Renews a session that is due. Never rejects: what came of it stands in the store. */
  async refresh(record: SessionRecord): Promise<void> {
    const running = this.#refreshing.get(record.id);
    if (running !== undefined) return await running;
    const { refreshToken } = record.secrets;
    const provider = this.#providers.get(record.provider);
    const restUntilMs = this.#restingUntilMs.get(record.provider) ?? 0;
    if (refreshToken === undefined || provider === undefined) return;
    if (this.#clock.monotonicMs() < restUntilMs || this.#refreshing.size >= MOST_REFRESHES) return;
    const refreshed = this.#askRefresh(record, provider, refreshToken)
      .catch((error: unknown) => this.#notRenewed(record, String(error)))
      .finally(() => this.#refreshing.delete(record.id));
    this.#refreshing.set(record.id, refreshed);
    await refreshed;
  }

  /** Waits for a refresh that is under way. */
  async settled(id: string): Promise<void> {
    await this.#refreshing.get(id);
  }

  /** In the background: nobody waits for a provider to forget. */
  revoke(name: string, refreshToken: string | undefined): void {
    const provider = this.#providers.get(name);
    if (provider === undefined || refreshToken === undefined) return;
    void provider.client.revoke(refreshToken).then((answer) => {
      if (answer.outcome !== "granted")
        sessionNotRenewed(this.#log, { provider: name, why: `not revoked: ${answer.why}` });
    });
  }

  async #askRefresh(
    record: SessionRecord,
    provider: BrowserProvider,
    refreshToken: string,
  ): Promise<void> {
    const answer = await provider.client.refresh(refreshToken);
    const current = this.#store.get(record.id);
    if (answer.outcome === "granted") {
      const renewed = answer.value.refreshToken ?? refreshToken;
      // Ended meanwhile, as by signing out: what was granted too late is nobody's.
      if (current === undefined) return this.revoke(provider.name, renewed);
      const { config, verifier } = provider;
      const read = await readSessionClaims(answer.value, {
        config,
        verifier,
        clock: this.#clock,
        subject: record.subject,
      });
      const latest = this.#store.get(record.id);
      if (latest === undefined) return this.revoke(provider.name, renewed);
      const secrets = {
        ...latest.secrets,
        refreshToken: renewed,
        idToken: answer.value.idToken ?? latest.secrets.idToken,
      };
      if ("why" in read) {
        // The old refresh token may be used up, so the new one is kept whatever else holds.
        this.#store.put({ ...latest, secrets });
        if (read.isOutage) return this.#notRenewed(record, read.why);
        sessionNotRenewed(this.#log, { provider: provider.name, why: read.why });
        return await this.#end({ ...latest, secrets });
      }
      const nowMs = this.#clock.wallMs();
      this.#store.put({
        ...latest,
        ...toGrant(read.claims, {
          canRenew: true,
          nowMs,
          endsMs: latest.endsMs,
          random: this.#random,
        }),
        generation: latest.generation + 1,
        // Whoever changed their name is called so from now on; what only the sign-in said stays.
        secrets: {
          ...secrets,
          profile: mergeProfiles(read.claims.profile, latest.secrets.profile),
        },
      });
      return;
    }
    if (answer.outcome === "refused") {
      sessionNotRenewed(this.#log, { provider: provider.name, why: answer.why });
      // A refusal without a reason may be meant for us: as long as something is granted, it may still be put right.
      const isFinal = answer.error !== "" || this.#clock.wallMs() >= record.grantedUntilMs;
      if (current !== undefined && isFinal) await this.#end(current);
      return;
    }
    this.#notRenewed(record, answer.why);
  }

  #notRenewed({ provider }: SessionRecord, why: string): void {
    this.#restingUntilMs.set(provider, this.#clock.monotonicMs() + REST_MS);
    sessionNotRenewed(this.#log, { provider, why });
  }
}

/** How long a provider that did not answer is left alone. */
export const REST_MS = 5_000;
/** The main thread waits for so many token answers at once; further sessions go on with what they have. */
const MOST_REFRESHES = 256;

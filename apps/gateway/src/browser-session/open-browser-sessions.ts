import type { Revocation } from "@tidegate/auth";
import type { Clock, Random } from "@tidegate/clock";
import type { GatewayConfig } from "../config/schema.ts";
import { openVerifier } from "../identify/open-issuer.ts";
import type { Log } from "../record/logger.ts";
import type { GatewayDatabase } from "../store/gateway-database.ts";
import type { DataThreads } from "../worker/data-threads.ts";
import { ProviderClient } from "./provider-client.ts";
import { loadSealingKeys } from "./sealing-keys.ts";
import type { BrowserProvider } from "./browser-provider.ts";
import { SessionKeeper } from "./session-keeper.ts";
import { BROWSER_ENDPOINT, OPEN_SESSION, type BrowserQuestion } from "./session-news.ts";
import { SessionStore } from "./session-store.ts";
import { SignInDesk } from "./sign-in-desk.ts";

/** The main thread's side of browser sessions. */
export interface BrowserSessions extends Disposable {
  /** Ends the sessions that a revocation is about; resolves when every worker knows. */
  revoked(revocations: readonly Revocation[]): Promise<void>;
}

/**
 * Opens what keeps browser sessions, and answers workers.
 * @returns undefined when no provider has `browser`
 * @throws {Error} when the keys in the data folder cannot be used
 */
export function openBrowserSessions({
  config,
  database,
  dataThreads,
  ...means
}: {
  readonly config: GatewayConfig;
  readonly database: GatewayDatabase;
  readonly dataThreads: DataThreads;
  readonly log: Log;
  readonly clock: Clock;
  readonly random: Random;
}): BrowserSessions | undefined {
  const { log, clock, random } = means;
  using opened = new DisposableStack();
  const providers = openProviders(config, means, opened);
  if (providers.size === 0) return undefined;
  const keys = loadSealingKeys({ folder: config.dataFolder, clock, random });
  const store = new SessionStore(database, keys);
  const { sessions: limits } = config;
  const keeper = opened.use(
    new SessionKeeper({ store, providers, limits, dataThreads, log, clock, random }),
  );
  const desk = new SignInDesk({
    providers,
    keeper,
    keys,
    levels: levelsOf(config),
    profileClaims: new Set(config.routes.flatMap(({ claims }) => claims)),
    sessionSeconds: limits.absoluteTimeoutSeconds,
    log,
    clock,
    random,
  });
  dataThreads.answer(OPEN_SESSION, (question) =>
    keeper.open((question as { id: string }).id, { isUse: true }),
  );
  dataThreads.answer(BROWSER_ENDPOINT, (question) =>
    answerBrowser(question as BrowserQuestion, { desk, keeper, providers, clock }),
  );
  const owned = opened.move();
  return {
    async revoked(revocations) {
      await Promise.all(revocations.map((revocation) => endRevoked(keeper, revocation)));
    },
    [Symbol.dispose]: () => owned.dispose(),
  };
}

function openProviders(
  { identity }: GatewayConfig,
  means: { readonly log: Log; readonly clock: Clock; readonly random: Random },
  opened: DisposableStack,
): ReadonlyMap<string, BrowserProvider> {
  const providers = new Map<string, BrowserProvider>();
  for (const [name, config] of Object.entries(identity)) {
    if (config.kind !== "oidc" || config.browser === undefined || config.client === undefined)
      continue;
    const { secret, authentication } = config.client;
    const readsTokens = config.tokenFormat === "jwt" || config.tokenFormat === "any";
    const verifier = readsTokens ? opened.use(openVerifier(name, config, means)) : undefined;
    verifier?.start();
    const client = new ProviderClient({
      issuer: config.issuer,
      clientId: config.client.id,
      clientSecret: secret,
      clientAuthentication: secret === undefined ? "none" : authentication,
      scopes: config.browser.scopes,
      resource: config.extraAuthParams["resource"],
      authorizationParameters: config.extraAuthParams,
      clockToleranceSeconds: config.clockToleranceSeconds,
      clock: means.clock,
    });
    providers.set(name, { name, config, client, verifier });
  }
  return providers;
}

/** Every level that some route asks for. */
function levelsOf({ routes }: GatewayConfig): ReadonlySet<string> {
  return new Set(routes.flatMap(({ auth }) => (auth === "none" ? [] : auth.acr)));
}

async function answerBrowser(
  question: BrowserQuestion,
  {
    desk,
    keeper,
    providers,
    clock,
  }: {
    readonly desk: SignInDesk;
    readonly keeper: SessionKeeper;
    readonly providers: ReadonlyMap<string, BrowserProvider>;
    readonly clock: Clock;
  },
): Promise<unknown> {
  switch (question.endpoint) {
    case "sign-in":
      return await desk.signIn(question.call);
    case "step-up":
      return await desk.stepUp(question.call);
    case "callback":
      return await desk.callback(question.call);
    case "sign-out": {
      const record = keeper.find(question.id);
      if (record === undefined) return undefined;
      await keeper.end([record], "signed-out");
      const provider = providers.get(record.provider);
      if (provider?.config.signOutMode !== "provider") return undefined;
      const { idToken } = record.secrets;
      const { returnTo } = question;
      const answer = await provider.client.endSessionUrl({ idTokenHint: idToken, returnTo });
      return answer.outcome === "granted" ? answer.value?.href : undefined;
    }
    case "session": {
      const view = await keeper.open(question.id, { isUse: false });
      const record = view.outcome === "gone" ? undefined : keeper.find(question.id);
      return record === undefined ? undefined : keeper.show(record, clock.wallMs());
    }
  }
}

/** A session, or a person's sign-ins. Single tokens end by themselves: the next refresh brings another one. */
async function endRevoked(keeper: SessionKeeper, revocation: Revocation): Promise<void> {
  const { issuer } = revocation;
  if (revocation.kind === "session") await keeper.endOf({ issuer, sid: revocation.sessionId });
  if (revocation.kind === "subject") {
    // As the index of revocations reads it: clocks of two machines may differ.
    const signedInUntilSeconds = revocation.atSeconds + SIGN_IN_TOLERANCE_SECONDS;
    await keeper.endOf({ issuer, subject: revocation.subject, signedInUntilSeconds });
  }
}

const SIGN_IN_TOLERANCE_SECONDS = 5;

import { join } from "node:path";
import type { Clock, Random, Timer } from "@tidegate/clock";
import type { Database } from "@tidegate/service-kit";
import type { IdentityEvents } from "../events.ts";
import type { AccountPerson } from "./accounts.ts";
import { ArtifactStore } from "./artifact-store.ts";
import { createBrowserSessions, type BrowserSessions } from "./browser-sessions.ts";
import type { ClientFile } from "./client-file.ts";
import { CLIENT_RATE, createClientRate, type ClientRateLimit } from "./client-rate.ts";
import { ConsentStore } from "./consents.ts";
import { createProvider } from "./create-provider.ts";
import { LEVELS, type Level } from "./levels.ts";
import { LIBRARY_NOTICES, Provider } from "./library.ts";
import { LogoutDeliveries } from "./logout-deliveries.ts";
import { noteRefresh, observe } from "./observe-provider.ts";
import type { ProviderPages } from "./provider-pages.ts";
import { superviseLibrary } from "./provider-mount.ts";
import type { ProviderTables } from "./provider-schema.ts";
import type { Secrets } from "./secrets.ts";
import { NO_SESSION, SessionStore } from "./session-store.ts";
import { signOutAtOnce } from "./sign-out.ts";
import { SigningKeys } from "./signing-keys.ts";

export interface EmbeddedProviderOptions {
  readonly issuer: string;
  readonly dataFolder: string;
  readonly file: ClientFile;
  readonly secrets: Secrets;
  readonly database: Database<ProviderTables>;
  readonly pages: ProviderPages;
  readonly findPerson: (personId: string) => Promise<AccountPerson | undefined>;
  readonly clock: Clock;
  readonly random: Random;
  readonly events: IdentityEvents;
  readonly levels?: readonly Level[];
  /** `CLIENT_RATE` unless told otherwise. */
  readonly clientRate?: ClientRateLimit;
  readonly fetch?: typeof fetch;
  /** What others keep that expires, removed in the same round. */
  readonly sweepPeople?: () => Promise<void>;
}

/** The library with its store, keys and duties over time. */
export interface EmbeddedProvider extends AsyncDisposable {
  /** The library as it is now; made anew when keys change, so never kept. */
  current(): Provider;
  readonly artifacts: ArtifactStore;
  readonly sessions: SessionStore;
  readonly consents: ConsentStore;
  readonly browserSessions: BrowserSessions;
  readonly deliveries: LogoutDeliveries;
  rotateKeys(when: "in-order" | "at-once"): Promise<void>;
  /** Begins what happens by itself: delivering, sweeping, rotating keys. */
  start(): void;
  /** Removes what has expired, and changes keys that are due. */
  keepHouse(): Promise<void>;
}

const NOTICE_MEANING =
  "oidc-provider was written for another release of Node; Tidegate is tested on the one it pins. Nothing has to be done.";

// What has expired is refused at once; sweeping only frees the space.
const HOUSEKEEPING_INTERVAL_MS = 60_000;
// 500 rows each: what a minute of the busiest permitted traffic leaves behind, several times over.
const MAX_SWEEPS = 50;

export async function openEmbeddedProvider(
  options: EmbeddedProviderOptions,
): Promise<EmbeddedProvider> {
  const { clock, random, database, events, secrets, pages } = options;
  const nowSeconds = (): number => Math.floor(clock.wallMs() / 1_000);
  for (const notice of LIBRARY_NOTICES) events.libraryNoticed({ notice, meaning: NOTICE_MEANING });
  const keys = await SigningKeys.open({
    file: join(options.dataFolder, "signing-keys.json"),
    clock,
  });
  const artifacts = new ArtifactStore({ database, clock });
  const clientRate = createClientRate({ limit: options.clientRate ?? CLIENT_RATE, clock, random });
  const consents = new ConsentStore({ database, clock });
  const told = new Set(
    options.file.clients.flatMap((one) => (one.backchannelLogoutUri === undefined ? [] : one.id)),
  );
  const deliveries = new LogoutDeliveries({
    database,
    clock,
    events,
    send: ({ clientId, personId, sid }) => sendLogout(provider, { clientId, personId, sid }),
  });
  const sessions = new SessionStore({
    database,
    clock,
    random,
    events,
    toldOfLogout: told,
    wakeDeliveries: () => deliveries.wake(),
  });

  const isThere = async (personId: string): Promise<boolean> => {
    const person = await options.findPerson(personId);
    return person !== undefined && !person.isDisabled;
  };
  const make = (): Provider => {
    const made = createProvider({
      issuer: options.issuer,
      file: options.file,
      keys,
      cookieKeys: secrets.cookieKeys,
      successorSecret: secrets.successorSecret,
      levels: options.levels ?? LEVELS,
      artifacts,
      consents,
      clientRate,
      pages,
      findPerson: options.findPerson,
      nowSeconds,
      fetch: options.fetch ?? fetch,
      async sessionSaved({ uid, personId }) {
        // Disabled while they were signing in: what ended everything of theirs came too early for this session.
        if (!(await isThere(personId))) {
          await sessions.end(uid, "person-disabled");
          return;
        }
        await sessions.noteUse(uid, Provider.ctx?.get("user-agent"));
        await sessions.keepBounded(personId);
      },
    });
    superviseLibrary(made, {
      pages,
      signOutAtOnce: (ctx) => signOutAtOnce(ctx, sessions),
      tokenAnswered: (ctx) => noteRefresh(ctx, { artifacts, sessions, nowSeconds }),
    });
    observe(made, { events, sessions });
    return made;
  };
  let provider = make();
  const browserSessions = createBrowserSessions({
    provider: () => provider,
    sessions,
    events,
    nowSeconds,
    isThere,
  });

  const changed = (): void => {
    provider = make();
    events.keysChanged({ kids: keys.jwks.keys.map(({ kid }) => kid) });
  };
  const keepHouse = async (): Promise<void> => {
    if (await keys.refresh()) changed();
    for (let sweeps = 0; sweeps < MAX_SWEEPS && (await sessions.sweep()); sweeps++);
    await options.sweepPeople?.();
    deliveries.wake();
  };

  let timer: Timer | undefined;
  let housekeeping: Promise<void> = Promise.resolve();
  const arm = (): void => {
    timer = clock.after(HOUSEKEEPING_INTERVAL_MS, () => {
      housekeeping = keepHouse()
        .catch((error: unknown) => events.failed({ what: "housekeeping", error }))
        .then(arm);
    });
  };

  return {
    current: () => provider,
    artifacts,
    sessions,
    consents,
    browserSessions,
    deliveries,
    keepHouse,
    async rotateKeys(when) {
      await keys.rotate(when);
      changed();
    },
    start() {
      deliveries.wake();
      arm();
    },
    async [Symbol.asyncDispose]() {
      timer?.cancel();
      await housekeeping;
      timer?.cancel();
      await deliveries[Symbol.asyncDispose]();
    },
  };
}

async function sendLogout(
  provider: Provider,
  logout: { readonly clientId: string; readonly personId: string; readonly sid: string },
): Promise<void> {
  const client = await provider.Client.find(logout.clientId);
  // It was taken out of the client file since: there is nobody to tell.
  if (client?.backchannelLogoutUri === undefined) return;
  const telling = client as unknown as TellsLogout;
  if (logout.sid !== NO_SESSION) {
    await telling.backchannelLogout(logout.personId, logout.sid);
    return;
  }
  // Back-Channel Logout 1.0 §2.4: without `sid` all sessions of the `sub`. The library leaves it out for clients that do not
  // ask for it; this one does, and for this one token is taken for one that does not.
  const asked = Object.create(telling, {
    backchannelLogoutSessionRequired: { value: false },
  }) as TellsLogout;
  await asked.backchannelLogout(logout.personId, NO_SESSION);
}

/** A client as the library has it: makes the logout token (`typ: logout+jwt`, 120 s) and posts it, within 2.5 s. */
interface TellsLogout {
  backchannelLogout(personId: string, sid: string): Promise<void>;
}

import { join } from "node:path";
import type { Clock, Random } from "@tidegate/clock";
import { createKeyedLimiter } from "@tidegate/limits";
import { Database, type Logger } from "@tidegate/service-kit";
import type { FastifyInstance } from "fastify";
import { registerAccountPages } from "./account/account-pages.ts";
import { createAdminApp } from "./admin/admin-app.ts";
import { createPeopleAdministration } from "./admin/people-administration.ts";
import { addBasicVerification } from "./basic/basic-verification.ts";
import { createBrowser } from "./browser/browser.ts";
import { createIdentityEvents, type IdentityEvents } from "./events.ts";
import { addConsent } from "./interactions/consent-routes.ts";
import { createInteractionFlow } from "./interactions/interaction-flow.ts";
import { addSignIn } from "./interactions/sign-in-routes.ts";
import { createMailQueue } from "./mail/mail-queue.ts";
import type { Mailer } from "./mail/mailer.ts";
import { createSmtpMailer } from "./mail/nodemailer.ts";
import { openOutboxFolder } from "./mail/outbox-folder.ts";
import { errorPage } from "./pages/error-page.ts";
import { servePageAssets } from "./pages/page-assets.ts";
import { signedOutPage, signOutPage } from "./pages/sign-out-pages.ts";
import { createPeople, type People } from "./people/people.ts";
import { readClientFile, type ClientFile } from "./provider/client-file.ts";
import type { ClientRateLimit } from "./provider/client-rate.ts";
import { openEmbeddedProvider, type EmbeddedProvider } from "./provider/embedded-provider.ts";
import type { Level } from "./provider/levels.ts";
import { mountProvider } from "./provider/provider-mount.ts";
import { createProviderPages } from "./provider/provider-pages.ts";
import { openSecrets } from "./provider/secrets.ts";
import { createSessionDirectory } from "./provider/session-directory.ts";
import { addSignOut } from "./provider/sign-out.ts";
import { MIGRATIONS, type IdentityTables } from "./schema.ts";
import { createIdentityApp } from "./web/identity-app.ts";
import type { OwnOrigin } from "./web/own-origin.ts";

export interface AssembleOptions {
  /** The issuer, without a slash at the end. */
  readonly publicUrl: string;
  readonly own: OwnOrigin;
  readonly dataFolder: string;
  readonly clientsFile: string | undefined;
  readonly trustedProxies: readonly string[];
  readonly mail: { readonly smtpUrl: string | undefined; readonly from: string };
  readonly isRegistrationOpen: boolean;
  /** What people can prove here; all that there is unless told otherwise. */
  readonly levels?: readonly Level[];
  /** How often a client may ask for tokens; see `CLIENT_RATE`. */
  readonly clientRate?: ClientRateLimit;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

/** Everything of the process but its listeners. */
export interface IdentityParts {
  /** For people and clients. */
  readonly app: FastifyInstance;
  /** For administrators. */
  readonly admin: FastifyInstance;
  readonly provider: EmbeddedProvider;
  readonly people: People;
}

/** Opens the store and puts the parts together. What has to be closed is left with `stack`. */
export async function assembleIdentity(
  options: AssembleOptions,
  stack: AsyncDisposableStack,
): Promise<IdentityParts> {
  const { clock, random, logger, dataFolder, publicUrl } = options;
  const database = stack.use(
    Database.open<IdentityTables>({
      file: join(dataFolder, "identity.sqlite"),
      migrations: MIGRATIONS,
    }),
  );
  const mail = stack.use(createMailQueue({ mailer: await openMailer(options), clock, logger }));
  const isRegistrationOpen = options.isRegistrationOpen;
  const people = createPeople({
    database,
    clock,
    random,
    logger,
    mail,
    publicUrl,
    isRegistrationOpen,
  });
  stack.defer(() => people.reset.settled());
  const events = createIdentityEvents(logger);
  const secrets = openSecrets({ dataFolder, random });
  const file =
    options.clientsFile === undefined
      ? { clients: [], resources: [] }
      : readClientFile(options.clientsFile);
  const texts = { errorPage, signOutPage, signedOutPage };
  const provider = stack.use(
    await openEmbeddedProvider({
      issuer: publicUrl,
      dataFolder,
      file,
      secrets,
      database,
      pages: createProviderPages({ texts, random, logger }),
      findPerson: (personId) => people.store.find(personId),
      sweepPeople: () => people.sweep(),
      clock,
      random,
      events,
      ...(options.levels && { levels: options.levels }),
      ...(options.clientRate && { clientRate: options.clientRate }),
    }),
  );
  const app = createIdentityApp({
    own: () => options.own,
    trustedProxies: options.trustedProxies,
    clock,
    random,
    logger,
    probe: () => database.probe(),
  });
  const browser = await createBrowser({ database, random });
  addPages(app, { options, people, browser, provider, file, events });
  const { sessions } = provider;
  const admin = createAdminApp({
    token: secrets.adminToken,
    administration: createPeopleAdministration({ people, sessions, random, events }),
    events,
    rotateKeys: (when) => provider.rotateKeys(when),
    random,
    logger,
  });
  return { app, admin, provider, people };
}

/** Everything that the app answers. */
function addPages(
  app: FastifyInstance,
  parts: {
    readonly options: AssembleOptions;
    readonly people: People;
    readonly browser: Awaited<ReturnType<typeof createBrowser>>;
    readonly provider: EmbeddedProvider;
    readonly file: ClientFile;
    readonly events: IdentityEvents;
  },
): void {
  const { people, browser, events, file, provider } = parts;
  const { clock, random, publicUrl } = parts.options;
  const { browserSessions, sessions, consents } = provider;
  const current = (): ReturnType<EmbeddedProvider["current"]> => provider.current();
  const nowMs = (): number => clock.wallMs();
  const nowSeconds = (): number => Math.floor(clock.wallMs() / 1_000);
  const flow = createInteractionFlow({ provider: current, browserSessions, nowSeconds });
  servePageAssets(app);
  mountProvider(app, {
    provider: current,
    issuer: publicUrl,
    authorizations: createKeyedLimiter({ definitions: [AUTHORIZATIONS], clock, random }),
  });
  addSignIn(app, { people, browser, browserSessions, flow, events, nowMs });
  const { resources } = file;
  addConsent(app, { provider: current, people, browser, flow, consents, resources, events });
  addSignOut(app, { browserSessions, sessions });
  addBasicVerification(app, {
    issuer: publicUrl,
    clients: file.clients,
    people,
    events,
    nowSeconds,
  });
  registerAccountPages(app, {
    people,
    browser,
    signedIn: browserSessions,
    sessions: createSessionDirectory(sessions),
    clock,
  });
}

/** Ten a second from one network, with room for an office that comes back from lunch. */
const AUTHORIZATIONS = {
  kind: "bucket",
  name: "authorizations",
  count: 10,
  seconds: 1,
  burst: 300,
  maxKeys: 10_000,
} as const;

async function openMailer({ mail, dataFolder, clock, random }: AssembleOptions): Promise<Mailer> {
  return mail.smtpUrl === undefined
    ? openOutboxFolder({ folder: join(dataFolder, "outbox"), from: mail.from, clock, random })
    : createSmtpMailer({ url: mail.smtpUrl, from: mail.from, wallMs: () => clock.wallMs() });
}

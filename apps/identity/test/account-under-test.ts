import { readdir, readFile } from "node:fs/promises";
import { systemClock, systemRandom, type Clock } from "@tidegate/clock";
import { createLogger, Database } from "@tidegate/service-kit";
import { tempFolder, waitFor } from "@tidegate/testkit";
import { registerAccountPages } from "../src/account/account-pages.ts";
import { createBrowser } from "../src/browser/browser.ts";
import { createMailQueue } from "../src/mail/mail-queue.ts";
import { openOutboxFolder } from "../src/mail/outbox-folder.ts";
import { servePageAssets } from "../src/pages/page-assets.ts";
import { createPeople, type People } from "../src/people/people.ts";
import { MIGRATIONS, type IdentityTables } from "../src/schema.ts";
import { createIdentityApp } from "../src/web/identity-app.ts";
import { createOwnOrigin, type OwnOrigin } from "../src/web/own-origin.ts";
import { createBrowserStandIn, type BrowserStandIn } from "./browser-stand-in.ts";
import { createSessionStandIn, SESSION_COOKIE, type SessionStandIn } from "./session-stand-in.ts";

export interface AccountUnderTest extends AsyncDisposable {
  readonly origin: string;
  readonly people: People;
  readonly sessions: SessionStandIn;
  /** Somebody's browser; `address` is where they are. */
  browser(options?: { readonly userAgent?: string; readonly address?: string }): BrowserStandIn;
  /** A person with this password, and a browser in which they are signed in. */
  signedIn(
    loginName: string,
    password: string,
    options?: { readonly email?: string; readonly isEmailVerified?: boolean },
  ): Promise<{
    readonly browser: BrowserStandIn;
    readonly personId: string;
    readonly sessionId: string;
  }>;
  /** Waits for a letter to this address, as its text; the newest first. */
  letterTo(email: string, containing: string): Promise<string>;
  letters(): Promise<string[]>;
}

/** The account pages as they are served, over sessions kept in memory. */
export async function startAccount(
  options: { readonly clock?: Clock; readonly isRegistrationOpen?: boolean } = {},
): Promise<AccountUnderTest> {
  const clock = options.clock ?? systemClock;
  const random = systemRandom;
  const stack = new AsyncDisposableStack();
  const folder = stack.use(await tempFolder());
  const logger = createLogger({ service: "identity", level: "silent" });
  const database = stack.use(
    Database.open<IdentityTables>({ file: folder.file("identity.sqlite"), migrations: MIGRATIONS }),
  );
  const outbox = folder.file("outbox");
  const mailer = await openOutboxFolder({
    folder: outbox,
    from: "Tidegate <no-reply@localhost>",
    clock,
    random,
  });
  const mail = stack.use(createMailQueue({ mailer, clock, logger }));
  let own: OwnOrigin | undefined;
  const app = createIdentityApp({
    own: () => own!,
    trustedProxies: ["127.0.0.1"],
    clock,
    random,
    logger,
    probe: () => database.probe(),
  });
  const people = createPeople({
    database,
    clock,
    random,
    logger,
    mail,
    publicUrl: "http://localhost:8081",
    isRegistrationOpen: options.isRegistrationOpen ?? true,
  });
  const sessions = createSessionStandIn(clock, random);
  servePageAssets(app);
  registerAccountPages(app, {
    people,
    browser: await createBrowser({ database, random }),
    signedIn: sessions.signedIn,
    sessions: sessions.directory,
    clock,
  });
  const url = await app.listen({ host: "127.0.0.1", port: 0 });
  stack.defer(async () => {
    app.server.closeAllConnections();
    await app.close();
    await people.reset.settled();
  });
  const port = Number(new URL(url).port);
  const origin = `http://localhost:${port}`;
  own = createOwnOrigin({ publicUrl: origin, port });

  const letters = async (): Promise<string[]> => {
    const names = (await readdir(outbox)).filter((name) => name.endsWith(".eml"));
    const texts = await Promise.all(
      names
        .toSorted()
        .toReversed()
        .map((name) => readFile(`${outbox}/${name}`, "utf8")),
    );
    // Undoes quoted-printable as far as our ASCII letters need it.
    return texts.map((text) => text.replaceAll("=\r\n", "").replaceAll("=3D", "="));
  };

  return {
    origin,
    people,
    sessions,
    browser: (who) => createBrowserStandIn(origin, who),
    async signedIn(loginName, password, more = {}) {
      const person = await people.store.create({
        loginName,
        email: more.email,
        isEmailVerified: more.isEmailVerified ?? false,
        passwordHash: (await people.passwords.hash(password))!,
      });
      const browser = createBrowserStandIn(origin);
      const sessionId = sessions.open(person!.id, "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0");
      browser.cookies.set(SESSION_COOKIE, sessionId);
      return { browser, personId: person!.id, sessionId };
    },
    letters,
    letterTo: (email, containing) =>
      waitFor(
        async () =>
          (await letters()).find(
            (text) => text.includes(`To: ${email}`) && text.includes(containing),
          ),
        { what: `a letter to ${email} containing ${containing}` },
      ),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

import { once } from "node:events";
import { chmodSync, mkdirSync } from "node:fs";
import { createServer } from "node:net";
import type { Stages } from "@tidegate/service-kit";
import type { FastifyInstance } from "fastify";
import { assembleIdentity, type AssembleOptions } from "./assemble.ts";
import type { People } from "./people/people.ts";
import type { EmbeddedProvider } from "./provider/embedded-provider.ts";
import { createOwnOrigin } from "./web/own-origin.ts";

export interface IdentityOptions extends Omit<AssembleOptions, "own" | "publicUrl"> {
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  readonly adminPort: number;
  /** The issuer, without a slash at the end; undefined: `http://localhost` and the port. */
  readonly publicUrl: string | undefined;
}

/** A running provider. Disposing it stops it at once; `stages` stop it gently. */
export interface IdentityServer extends AsyncDisposable {
  /** Where it listens, with the port that was really taken. */
  readonly url: string;
  /** The issuer. */
  readonly publicUrl: string;
  /** Where administrators reach it. */
  readonly adminUrl: string;
  readonly provider: EmbeddedProvider;
  readonly people: People;
  readonly stages: Stages;
}

/** Opens the database, listens, and serves until stopped. */
export async function startIdentity(options: IdentityOptions): Promise<IdentityServer> {
  // The issuer is part of every cookie, link and token, so the port has to be known before anything is made.
  if (options.port !== 0) return startOn(options, options.port);
  for (let attempts = 0; ; attempts++) {
    try {
      return await startOn(options, await takeFreePort(options.host));
    } catch (error) {
      const isTaken = error instanceof Error && "code" in error && error.code === "EADDRINUSE";
      if (!isTaken || attempts === MAX_PORT_ATTEMPTS) throw error;
    }
  }
}

/** Somebody else may take a free port before we do; hardly five times in a row. */
const MAX_PORT_ATTEMPTS = 5;

async function startOn(options: IdentityOptions, port: number): Promise<IdentityServer> {
  const { dataFolder, host } = options;
  mkdirSync(dataFolder, { recursive: true, mode: 0o700 });
  chmodSync(dataFolder, 0o700);
  await using opening = new AsyncDisposableStack();
  const publicUrl = options.publicUrl ?? `http://localhost:${port}`;
  const own = createOwnOrigin({ publicUrl, port });
  const { app, admin, provider, people } = await assembleIdentity(
    { ...options, publicUrl, own },
    opening,
  );
  opening.defer(() => closeAtOnce(app, admin));
  const adminUrl = await admin.listen({ host: "127.0.0.1", port: options.adminPort });
  const url = await app.listen({ host, port });
  provider.start();
  const open = opening.move();
  const stages: Stages = {
    // The listener refuses new connections from `finish` on; there are no long ones to tell anything.
    drain: () => undefined,
    async finish() {
      await Promise.all([app.close(), admin.close()]);
    },
    cut() {
      for (const { server } of [app, admin]) server.closeAllConnections();
    },
    flush: () => open.disposeAsync(),
  };
  const stop = (): Promise<void> => open.disposeAsync();
  return { url, publicUrl, adminUrl, provider, people, stages, [Symbol.asyncDispose]: stop };
}

async function closeAtOnce(...apps: readonly FastifyInstance[]): Promise<void> {
  for (const { server } of apps) server.closeAllConnections();
  await Promise.all(apps.map((one) => one.close()));
}

async function takeFreePort(host: string): Promise<number> {
  const server = createServer();
  server.listen({ port: 0, host, exclusive: true });
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  if (typeof address !== "object" || address === null) throw new Error("Cannot find a free port");
  return address.port;
}

import { chmodSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import type { Clock, Random } from "@tidegate/clock";
import { Database, type Logger, type Stages } from "@tidegate/service-kit";
import type { FastifyInstance } from "fastify";
import { MIGRATIONS, type IdentityTables } from "./schema.ts";
import { createIdentityApp } from "./web/identity-app.ts";
import { createOwnOrigin, type OwnOrigin } from "./web/own-origin.ts";

export interface IdentityOptions {
  readonly host: string;
  readonly port: number;
  /** The issuer, without a slash at the end; undefined: `http://localhost` and the port. */
  readonly publicUrl: string | undefined;
  readonly dataFolder: string;
  readonly trustedProxies: readonly string[];
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

/** A running provider. Disposing it stops it at once; `stages` stop it gently. */
export interface IdentityServer extends AsyncDisposable {
  /** Where it listens, with the port that was really taken. */
  readonly url: string;
  /** The issuer. */
  readonly publicUrl: string;
  readonly app: FastifyInstance;
  readonly stages: Stages;
}

/** Opens the database, listens, and serves until stopped. */
export async function startIdentity(options: IdentityOptions): Promise<IdentityServer> {
  const { clock, random, logger, dataFolder } = options;
  mkdirSync(dataFolder, { recursive: true, mode: 0o700 });
  chmodSync(dataFolder, 0o700);
  const database = Database.open<IdentityTables>({
    file: join(dataFolder, "identity.sqlite"),
    migrations: MIGRATIONS,
  });
  let own: OwnOrigin | undefined;
  const app = createIdentityApp({
    own: () => {
      if (own === undefined) throw new Error("Asked for the own origin before listening");
      return own;
    },
    trustedProxies: options.trustedProxies,
    clock,
    random,
    logger,
    probe: () => database.probe(),
  });

  const stages: Stages = {
    drain() {},
    finish: () => app.close(),
    cut: () => app.server.closeAllConnections(),
    flush: () => database[Symbol.asyncDispose](),
  };
  const stop = async (): Promise<void> => {
    stages.drain();
    stages.cut();
    await stages.finish();
    await stages.flush();
  };
  try {
    const url = await app.listen({ host: options.host, port: options.port });
    const { port } = new URL(url);
    const publicUrl = options.publicUrl ?? `http://localhost:${port}`;
    own = createOwnOrigin({ publicUrl, port: Number(port) });
    return { url, publicUrl, app, stages, [Symbol.asyncDispose]: stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

import { mkdir } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import type { Worker } from "node:worker_threads";
import { loadAssertionKeys } from "@tidegate/auth";
import { systemClock, systemRandom, type Clock, type Random } from "@tidegate/clock";
import { createAdminListener } from "./admin/admin-listener.ts";
import { limitOverview } from "./admin/limit-overview.ts";
import { loadAdminToken } from "./admin/admin-token.ts";
import type { Readiness } from "./admin/readiness.ts";
import { toPortable } from "./config/config-functions.ts";
import { openBrowserSessions } from "./browser-session/open-browser-sessions.ts";
import type { GatewayConfig } from "./config/schema.ts";
import {
  defectFound,
  gatewayDraining,
  gatewayReady,
  gatewayStopped,
  listenerOpened,
} from "./record/events.ts";
import { openPenalties, type Penalties } from "./penalty/open-penalties.ts";
import { openKeyFiles } from "./identify/open-key-files.ts";
import { forgetRevokedPasswords } from "./identify/revoked-passwords.ts";
import { answerProofMemory } from "./identify/proof-memory.ts";
import { openLogDestination } from "./record/log-destination.ts";
import { createLogger, type Log } from "./record/logger.ts";
import { createMetrics } from "./record/metrics.ts";
import { readProcessFacts } from "./record/process-facts.ts";
import { renderMetrics } from "./record/render-metrics.ts";
import { GatewayDatabase } from "./store/gateway-database.ts";
import { VERSION } from "./version.ts";
import { keepLimitSnapshot, takeLimitSnapshot } from "./worker/limit-snapshot.ts";
import { EventReports } from "./revocation/event-reports.ts";
import { openRevocations, revocationSource } from "./revocation/open-revocations.ts";
import { TicketDesk } from "./ticket/ticket-desk.ts";
import { reservePort } from "./worker/reserve-port.ts";
import { DataThreads } from "./worker/data-threads.ts";
import type { DataPlaneHost } from "./worker/data-plane-host.ts";
import { hostOnThisThread } from "./worker/host-on-this-thread.ts";
import { hostOnWorkers } from "./worker/host-on-workers.ts";

/** A gateway that runs, or can. Disposing it stops it. */
export interface Gateway extends AsyncDisposable {
  /**
   * Opens the listeners.
   * @throws {Error} when a port is taken, or the data folder cannot be used
   */
  start(): Promise<GatewayAddresses>;
  /**
   * Stops in stages: takes nothing new, tells sockets, lets requests finish until `shutdown.drainTimeoutMs`,
   * cuts the rest, flushes the log. Safe to call again; a second call waits for the first.
   * @param reason for the log, such as `SIGTERM`
   */
  stop(reason: string): Promise<void>;
}

export interface GatewayAddresses {
  /** How people reach it: `publicUrl`, or `http://localhost:<port>`. */
  readonly url: string;
  readonly port: number;
  readonly adminUrl: string;
}

/** How long the last log lines may take to leave. */
const FLUSH_DEADLINE_MS = 2_000;
/** More workers than this cost memory and gain little: each brings its own connections to the upstreams. */
const MOST_AUTOMATIC_WORKERS = 8;

const MOST_PORT_TRIES = 3;

/**
 * Builds a gateway; nothing runs or listens before `start`.
 * @param config from `loadConfig` or `validateConfig`: checked, complete and frozen
 * @throws {Error} when it has functions, is to be served on worker threads, and came from no file that they could run
 */
export function createGateway(
  config: GatewayConfig,
  { clock = systemClock, random = systemRandom, observeThread }: GatewayOptions = {},
): Gateway {
  if (config.threads !== 0) toPortable(config);
  return new RunningGateway(config, { clock, random, observeThread });
}

export interface GatewayOptions {
  /** Used by the main thread; workers have the machine's. */
  readonly clock?: Clock;
  readonly random?: Random;
  /** Told about every worker thread as it starts; for debuggers and tests. */
  readonly observeThread?: ((thread: Worker, worker: number) => void) | undefined;
}

/** The main thread: configuration, keys, passwords, admin listener, log; and the host of the data plane. */
class RunningGateway implements Gateway {
  readonly #config: GatewayConfig;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #observeThread: GatewayOptions["observeThread"];
  readonly #parts = new AsyncDisposableStack();
  #log: Log | undefined;
  #host: DataPlaneHost | undefined;
  #penalties: Penalties | undefined;
  #isDraining = false;
  #stopped: Promise<void> | undefined;

  constructor(
    config: GatewayConfig,
    { clock, random, observeThread }: GatewayOptions & { clock: Clock; random: Random },
  ) {
    this.#config = config;
    this.#observeThread = observeThread;
    this.#clock = clock;
    this.#random = random;
  }

  async start(): Promise<GatewayAddresses> {
    try {
      return await this.#start();
    } catch (error) {
      await this.#parts.disposeAsync();
      throw error;
    }
  }

  stop(reason: string): Promise<void> {
    this.#stopped ??= this.#stop(reason);
    return this.#stopped;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop("disposed");
  }

  async #start(): Promise<GatewayAddresses> {
    const clock = this.#clock;
    const random = this.#random;
    const config = this.#config;
    const startedMs = clock.monotonicMs();
    await mkdir(config.dataFolder, { recursive: true, mode: 0o700 });
    const log = this.#parts.use(
      createLogger({
        level: config.record.level,
        destination: openLogDestination(config.record.destination),
        maxBufferedBytes: config.record.maxBufferedBytes,
        clock,
        closeDeadlineMs: FLUSH_DEADLINE_MS,
      }),
    );
    this.#log = log;
    // Made here, before any worker reads them.
    loadAssertionKeys({ folder: config.dataFolder, clock, random });
    // Where the parts that keep rows keep them; opened before any of them.
    const database = this.#parts.use(
      new GatewayDatabase(join(config.dataFolder, "gateway.sqlite")),
    );
    const dataThreads = new DataThreads();
    answerProofMemory(dataThreads, random);
    this.#parts.use(await openKeyFiles({ config, dataThreads, clock, log }));
    const revocations = this.#parts.use(
      openRevocations({ config, database, dataThreads, log, clock }),
    );
    revocations.whenRevoked((revoked) => forgetRevokedPasswords(revoked, dataThreads));
    const browserSessions = openBrowserSessions({
      config,
      database,
      dataThreads,
      log,
      clock,
      random,
    });
    if (browserSessions !== undefined) {
      this.#parts.use(browserSessions);
      revocations.whenRevoked((revoked) => browserSessions.revoked(revoked));
    }
    this.#parts.use(
      new EventReports({ config, desk: revocations, dataThreads, log, clock, random }),
    );
    const tickets = new TicketDesk({ dataThreads, clock, random });
    revocations.whenRevoked((revoked) => {
      tickets.revoked(revoked);
      return Promise.resolve();
    });
    const limitSnapshot = await takeLimitSnapshot(config.dataFolder);
    const penalties = await openPenalties({ config, dataThreads, log, clock, random });
    if (penalties !== undefined) this.#parts.use(penalties);
    this.#penalties = penalties;
    const host = this.#parts.use(
      await this.#openHost(log, { limitSnapshot, penalties, dataThreads }),
    );
    this.#host = host;
    const url = config.listen.publicUrl ?? `http://localhost:${host.port}`;
    listenerOpened(log, { listener: "public", url });

    const facts = this.#parts.use(readProcessFacts());
    const admin = this.#parts.use(
      createAdminListener({
        config: config.admin,
        token: await loadAdminToken(config.dataFolder, random),
        metrics: async () =>
          renderMetrics(await host.blocks(), {
            version: VERSION,
            logLinesDropped: log.droppedLines + host.droppedLines,
            revocationsHeld: revocations.size,
            callersBoxed: penalties?.store.boxedCallers,
            process: facts.read(),
          }),
        limitOverview: () => limitOverview(config, host.limits?.statistics()),
        readiness: () => this.#readiness(host),
        penalties: penalties?.store,
        revocations: revocationSource(revocations, { config, clock }),
        log,
        clock,
      }),
    );
    const adminUrl = await admin.listen();
    listenerOpened(log, { listener: "admin", url: adminUrl });
    gatewayReady(log, { startMs: clock.monotonicMs() - startedMs });
    return { url, port: host.port, adminUrl };
  }

  async #openHost(
    log: Log,
    kept: {
      limitSnapshot: Uint8Array | undefined;
      penalties: Penalties | undefined;
      dataThreads: DataThreads;
    },
  ): Promise<DataPlaneHost> {
    const clock = this.#clock;
    const random = this.#random;
    const config = this.#config;
    const viaName = `tidegate-${random.bytes(6).toString("hex")}`;
    const shared = { config, viaName, log, clock, random, ...kept };
    const workers =
      config.threads === "auto"
        ? Math.min(availableParallelism(), MOST_AUTOMATIC_WORKERS)
        : config.threads;
    if (workers === 0)
      return hostOnThisThread({ ...shared, port: config.listen.port, metrics: createMetrics() });
    for (let tries = 1; ; tries++) {
      const port = await reservePort(config.listen.port, config.listen.host);
      try {
        return await hostOnWorkers({
          ...shared,
          port,
          workers,
          observeThread: this.#observeThread,
        });
      } catch (error) {
        // Between the reservation and the workers' own listening somebody may take a free port by chance.
        if (config.listen.port !== 0 || tries === MOST_PORT_TRIES || !isPortTaken(error))
          throw error;
      }
    }
  }

  #readiness(host: DataPlaneHost): readonly Readiness[] {
    if (!this.#isDraining) return [...host.readiness(), ...(this.#penalties?.readiness() ?? [])];
    return [{ name: "listener", isReady: false, detail: "The gateway is stopping" }];
  }

  async #stop(reason: string): Promise<void> {
    const { drainTimeoutMs } = this.#config.shutdown;
    const beganMs = this.#clock.monotonicMs();
    const log = this.#log;
    const host = this.#host;
    this.#isDraining = true;
    if (log !== undefined && host !== undefined) {
      const { requestsInFlight, connections } = host;
      gatewayDraining(log, { signal: reason, requestsInFlight, connections, drainTimeoutMs });
      await host.drain(drainTimeoutMs);
      const cut = await host.stop();
      await this.#keepLimits(host);
      gatewayStopped(log, {
        ...cut,
        drainMs: this.#clock.monotonicMs() - beganMs,
        linesDropped: log.droppedLines + host.droppedLines,
      });
    }
    await this.#parts.disposeAsync();
  }

  /** After the last decision was made: what is spent then would be forgotten. */
  async #keepLimits({ limits }: DataPlaneHost): Promise<void> {
    if (limits === undefined) return;
    const nowMs = Math.floor(this.#clock.monotonicMs());
    try {
      const bytes = limits.snapshot(nowMs, this.#clock.wallMs());
      await keepLimitSnapshot(this.#config.dataFolder, bytes);
    } catch (error) {
      const cause = error instanceof Error ? error : new Error(String(error));
      if (this.#log !== undefined)
        defectFound(this.#log, { where: "limit snapshot", error: cause });
    }
  }
}

function isPortTaken(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "EADDRINUSE";
}

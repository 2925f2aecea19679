import { mkdir } from "node:fs/promises";
import { createAssertionSigner, loadAssertionKeys } from "@tidegate/auth";
import { systemClock, systemRandom, type Clock, type Random } from "@tidegate/clock";
import type { Limiter } from "@tidegate/limits";
import { createClientAddress } from "./accept/client-address.ts";
import { createHttp1Listener, type Http1Listener } from "./accept/http1-listener.ts";
import { createOwnEndpoints, PROBLEMS_PATH } from "./accept/own-endpoints.ts";
import { createServedHosts } from "./accept/served-hosts.ts";
import { SlowBodyWatch } from "./accept/slow-body-watch.ts";
import { createAdminListener, type AdminListener } from "./admin/admin-listener.ts";
import { loadAdminToken } from "./admin/admin-token.ts";
import type { Readiness } from "./admin/readiness.ts";
import { DataPlaneArrivals } from "./arrivals.ts";
import type { GatewayConfig } from "./config/schema.ts";
import { createIdentifier } from "./identify/create-identifier.ts";
import { createRecorder } from "./record/create-recorder.ts";
import { gatewayDraining, gatewayReady, gatewayStopped, listenerOpened } from "./record/events.ts";
import { createIdentifiers } from "./record/identifiers.ts";
import { openLogDestination } from "./record/log-destination.ts";
import { createLogger, type Log } from "./record/logger.ts";
import { createMetrics } from "./record/metrics.ts";
import { readProcessFacts } from "./record/process-facts.ts";
import { renderMetrics } from "./record/render-metrics.ts";
import { createRoad } from "./road.ts";
import { compileRoutes } from "./route/compile-routes.ts";
import { createRouteTable } from "./route/route-table.ts";
import { LiveSockets } from "./session/live-sockets.ts";
import { createUpstream } from "./upstream/upstream-pool.ts";
import type { Upstream } from "./upstream/upstream.ts";
import { VERSION } from "./version.ts";

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

/** Reclaims limit records a few at a time, so that no pause can be noticed. */
const SWEEP_INTERVAL_MS = 100;
const SWEEP_RECORDS = 1_024;

/** How long the last log lines may take to leave. */
const FLUSH_DEADLINE_MS = 2_000;

/**
 * Builds a gateway; nothing runs or listens before `start`.
 * @param config from `loadConfig` or `parseConfig`: checked, complete and frozen
 */
export function createGateway(
  config: GatewayConfig,
  { clock = systemClock, random = systemRandom }: { clock?: Clock; random?: Random } = {},
): Gateway {
  return new RunningGateway(config, clock, random);
}

class RunningGateway implements Gateway {
  readonly #config: GatewayConfig;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #parts = new AsyncDisposableStack();
  readonly #liveSockets: LiveSockets;
  readonly #upstreams: ReadonlyMap<string, Upstream>;
  #log: Log | undefined;
  #arrivals: DataPlaneArrivals | undefined;
  #listener: Http1Listener | undefined;
  #admin: AdminListener | undefined;
  #isDraining = false;
  #stopped: Promise<void> | undefined;

  constructor(config: GatewayConfig, clock: Clock, random: Random) {
    this.#config = config;
    this.#clock = clock;
    this.#random = random;
    this.#liveSockets = new LiveSockets(clock);
    this.#upstreams = new Map(
      Object.entries(config.upstreams).map(([name, upstream]) => [
        name,
        createUpstream(name, upstream, clock),
      ]),
    );
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
    const metrics = createMetrics();
    const recorder = createRecorder({ log, metrics, writesRequests: config.record.requests });
    const identifiers = createIdentifiers(random);
    const { routes, limiter } = compileRoutes(config, { random, metrics });
    if (limiter !== undefined) this.#parts.use(sweepLimits(limiter, clock));
    const identifier = this.#parts.use(await createIdentifier({ config, clock, random, log }));
    const keys = loadAssertionKeys({ folder: config.dataFolder, clock, random });
    const readiness = (): Readiness[] => [
      {
        name: "listener",
        isReady: !this.#isDraining,
        detail: this.#isDraining ? "The gateway is stopping" : "Accepts connections",
      },
      ...identifier.readiness(),
    ];

    // The port must be known before anything can be said about the public URL, so the listener comes first; no
    // connection can be accepted before this turn of the event loop ends.
    const clientAddress = createClientAddress(config.listen.trustedProxies);
    const servedHosts = createServedHosts(config);
    const listener: Http1Listener = this.#parts.use(
      createHttp1Listener({
        listen: config.listen,
        servedHosts,
        clientAddress,
        clock,
        arrivals: {
          request: (exchange, oddities) => this.#arrivals?.request(exchange, oddities),
          upgrade: (upgrade, oddities) => this.#arrivals?.upgrade(upgrade, oddities),
          refused: (arrival, write) => this.#arrivals?.refused(arrival, write),
        },
      }),
    );
    this.#listener = listener;
    const port = await listener.listen();
    const url = config.listen.publicUrl ?? `http://localhost:${port}`;
    const origin = new URL(url).origin;
    const viaName = `tidegate-${random.bytes(6).toString("hex")}`;
    this.#arrivals = new DataPlaneArrivals(
      {
        road: createRoad({
          table: createRouteTable(routes),
          identifier,
          allowedOrigins: new Set([origin]),
          viaName,
          clock,
        }),
        servedHosts,
        ownEndpoints: createOwnEndpoints({ readiness, jwks: () => keys.jwks }),
        upstreams: this.#upstreams,
        signer: createAssertionSigner({ issuer: url, keys, clock, random }),
        slowBodies: new SlowBodyWatch(clock),
        relay: { clock, random, recorder, liveSockets: this.#liveSockets },
        recorder,
        identifiers,
        answers: { typeBase: `${origin}${PROBLEMS_PATH}`, random },
        viaName,
        clock,
        log,
      },
      { maxInFlight: config.listen.maxRequestsInFlight },
    );
    listenerOpened(log, { listener: "public", url });

    const facts = this.#parts.use(readProcessFacts());
    this.#admin = this.#parts.use(
      createAdminListener({
        config: config.admin,
        token: await loadAdminToken(config.dataFolder, random),
        metrics: () =>
          renderMetrics(metrics.blocks, {
            version: VERSION,
            logLinesDropped: log.droppedLines,
            process: facts.read(),
          }),
        readiness,
        log,
        clock,
      }),
    );
    const adminUrl = await this.#admin.listen();
    listenerOpened(log, { listener: "admin", url: adminUrl });
    gatewayReady(log, { startMs: clock.monotonicMs() - startedMs });
    return { url, port, adminUrl };
  }

  async #stop(reason: string): Promise<void> {
    const { drainTimeoutMs } = this.#config.shutdown;
    const beganMs = this.#clock.monotonicMs();
    const log = this.#log;
    this.#isDraining = true;
    if (log !== undefined)
      gatewayDraining(log, {
        signal: reason,
        requestsInFlight: this.#arrivals?.inFlight ?? 0,
        socketsOpen: this.#liveSockets.size,
        drainTimeoutMs,
      });
    const drained = Promise.all([
      this.#listener?.drain(),
      this.#arrivals?.drain(),
      this.#liveSockets.drain(),
    ]);
    const { promise: deadline, resolve } = Promise.withResolvers<void>();
    const timer = this.#clock.after(drainTimeoutMs, resolve);
    await Promise.race([drained, deadline]);
    timer.cancel();
    if (log !== undefined)
      gatewayStopped(log, {
        requestsCut: this.#arrivals?.inFlight ?? 0,
        socketsCut: this.#liveSockets.size,
        drainMs: this.#clock.monotonicMs() - beganMs,
        linesDropped: log.droppedLines,
      });
    this.#liveSockets.cut();
    this.#listener?.cut();
    for (const upstream of this.#upstreams.values()) upstream.close();
    await this.#parts.disposeAsync();
  }
}

function sweepLimits(limiter: Limiter, clock: Clock): Disposable {
  const sweep = (): void => {
    limiter.sweep(clock.monotonicMs(), SWEEP_RECORDS);
    timer = clock.after(SWEEP_INTERVAL_MS, sweep);
  };
  let timer = clock.after(SWEEP_INTERVAL_MS, sweep);
  return { [Symbol.dispose]: () => timer.cancel() };
}

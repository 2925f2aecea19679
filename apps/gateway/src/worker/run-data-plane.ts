import { createAssertionSigner, loadAssertionKeys } from "@tidegate/auth";
import type { Clock, Random } from "@tidegate/clock";
import type { EmbeddedLimiter, LimitDefinition } from "@tidegate/limits";
import { createClientAddress } from "../accept/client-address.ts";
import { createHttp1Listener, type Http1Listener } from "../accept/http1-listener.ts";
import { createOwnEndpoints, PROBLEMS_PATH } from "../accept/own-endpoints.ts";
import { createServedHosts } from "../accept/served-hosts.ts";
import { SlowBodyWatch } from "../accept/slow-body-watch.ts";
import type { Readiness } from "../admin/readiness.ts";
import { DataPlaneArrivals } from "../arrivals.ts";
import { browserEndpoints } from "../browser-session/browser-endpoints.ts";
import { hasBrowserSessions, createPublicName } from "../browser-session/public-name.ts";
import { sessionCredentials } from "../browser-session/session-credentials.ts";
import { WorkerSessions } from "../browser-session/worker-sessions.ts";
import type { GatewayConfig, UpstreamConfig } from "../config/schema.ts";
import { createIdentifier } from "../identify/create-identifier.ts";
import { keyFieldsOf } from "../identify/key-fields.ts";
import { noteKeyUse } from "../identify/key-use.ts";
import { joinProofMemory } from "../identify/proof-memory.ts";
import type { OpenPasswords } from "../identify/open-passwords.ts";
import { FORGET_REVOKED_PASSWORDS } from "../identify/revoked-passwords.ts";
import type { CallLimiter } from "../judge/call-limiter.ts";
import type { ThreadPenalties } from "../penalty/open-penalties.ts";
import { PENALTIES_CHANGED } from "../penalty/tell-penalties.ts";
import { createRecorder } from "../record/create-recorder.ts";
import { acceptFailed, penaltyEnforced } from "../record/events.ts";
import { createIdentifiers } from "../record/identifiers.ts";
import type { Log } from "../record/logger.ts";
import type { Metrics } from "../record/metrics.ts";
import { HandshakeCloser, type SocketPlaces } from "../relay/handshake-closer.ts";
import { createRoad } from "../road.ts";
import { compileRoutes } from "../route/compile-routes.ts";
import { createPreflights } from "../route/cors.ts";
import { createRouteTable } from "../route/route-table.ts";
import { reportEndpoints } from "../revocation/report-endpoints.ts";
import { Revocations } from "../revocation/revocations.ts";
import type { SessionEnding } from "../session/live-session.ts";
import { LiveSessions } from "../session/live-sessions.ts";
import { LiveSockets } from "../session/live-sockets.ts";
import { ticketCredentials } from "../ticket/ticket-credentials.ts";
import { ticketEndpoint } from "../ticket/ticket-endpoint.ts";
import { createUpstream } from "../upstream/upstream-pool.ts";
import type { MainThread } from "./data-threads.ts";
import { shareLimits, type SharedLimits } from "./shared-limits.ts";
import { CELL, type WorkerCells } from "./worker-cells.ts";

export interface DataPlaneOptions {
  readonly config: GatewayConfig;
  /** Position among the workers, from 0. */
  readonly worker: number;
  /** How many workers share the caps of connections to upstreams. */
  readonly workers: number;
  /** Rises with every start of a worker; keeps connection numbers of two lives apart. */
  readonly life: number;
  /** Where to listen. */
  readonly port: number;
  /** Whether other workers listen on the same port. */
  readonly isPortShared: boolean;
  /** The gateway's name in Via, the same for all workers: a loop may come back to another one. */
  readonly viaName: string;
  readonly cells: WorkerCells;
  readonly main: MainThread;
  /** Said once everything is known that must be before the listener opens; undefined when nobody waits for that. */
  readonly mayServe?: (() => Promise<void>) | undefined;
  readonly createLimiter: (definitions: readonly LimitDefinition[]) => EmbeddedLimiter;
  /** Who checks passwords; undefined when this thread does so itself. */
  readonly openPasswords?: OpenPasswords | undefined;
  /** Undefined when nobody is ever boxed. */
  readonly penalties?: ThreadPenalties | undefined;
  readonly metrics: Metrics;
  readonly log: Log;
  readonly clock: Clock;
  readonly random: Random;
}

/** Reclaims limit records a few at a time, so that no pause can be noticed. */
const SWEEP_INTERVAL_MS = 100;
const SWEEP_RECORDS = 1_024;

/** Longer than this a gateway does not wait for the store of shared limits before it listens. */
const LIMIT_STORE_WAIT_MS = 2_000;

/** A listener with everything behind it, on the thread that made it. */
export interface RunningDataPlane extends AsyncDisposable {
  readonly port: number;
  /** How people reach it. */
  readonly url: string;
  /** Whether requests can be identified now; without the gateway's own state. */
  readiness(): readonly Readiness[];
  /** Takes nothing new. @returns a promise that is kept when everything that ran has ended */
  drain(): Promise<void>;
  readonly requestsInFlight: number;
  readonly socketsOpen: number;
}

/** Builds the data plane and opens its listener. @throws {Error} when the port is taken */
export async function runDataPlane(options: DataPlaneOptions): Promise<RunningDataPlane> {
  const { config, worker, life, cells, clock, random, log, metrics, viaName } = options;
  await using parts = new AsyncDisposableStack();
  const recorder = createRecorder({ log, metrics, writesRequests: config.record.requests });
  let shared: SharedLimits | undefined;
  const { routes, limiter } = compileRoutes(config, {
    metrics,
    clock,
    createLimiter(definitions) {
      const local = options.createLimiter(definitions);
      shared = shareLimits({ ...options, local });
      return shared?.limiter ?? local;
    },
  });
  if (shared !== undefined) {
    parts.use(shared);
    await shared.whenUp(LIMIT_STORE_WAIT_MS);
  }
  if (limiter !== undefined) parts.use(sweepLimits(limiter, clock));
  const { openPasswords } = options;
  const browserSessions = hasBrowserSessions(config)
    ? new WorkerSessions(options.main, clock)
    : undefined;
  const identifier = parts.use(
    await createIdentifier({
      config,
      publicUrl:
        config.listen.publicUrl === undefined ? undefined : new URL(config.listen.publicUrl),
      proofs: await joinProofMemory(options.main),
      keyUse: parts.use(noteKeyUse(options.main, clock)),
      clock,
      random,
      log,
      ...(openPasswords === undefined ? {} : { openPasswords }),
      furtherKinds: [
        ticketCredentials(options.main, { log }),
        ...(browserSessions === undefined ? [] : [sessionCredentials(browserSessions, { log })]),
      ],
    }),
  );
  options.main.whenTold(FORGET_REVOKED_PASSWORDS, (issuers) =>
    identifier.forgetPasswords(issuers as readonly string[]),
  );
  const keys = loadAssertionKeys({ folder: config.dataFolder, clock, random });
  const revocations = parts.use(new Revocations(clock));
  const { penalties } = options;
  const liveSessions = parts.use(
    new LiveSessions({
      clock,
      mayGoOn({ principal }, peer) {
        const isWithdrawn =
          principal.kind === "key" && identifier.renewKey(principal) === undefined;
        if (isWithdrawn || revocations.refuses(principal)) return REVOKED;
        return penalties?.gate.endingOf(principal, peer);
      },
      renew(session) {
        browserSessions?.renew(session);
        // A rotation gives an end to a secret that had none.
        if (session.principal.kind === "key")
          session.principal = identifier.renewKey(session.principal) ?? session.principal;
      },
      ended: ({ kind: why }, kind) => {
        if (why === "penalised") penalties?.ended(kind);
      },
    }),
  );
  identifier.whenKeysChange(() => void liveSessions.judgeAgain());
  if (browserSessions !== undefined) browserSessions.live = liveSessions;
  options.main.whenTold(PENALTIES_CHANGED, () => {
    const ended = liveSessions.judgeAgain();
    if (ended > 0) penaltyEnforced(log, { worker, ended });
  });
  const liveSockets = new LiveSockets(clock);
  parts.defer(() => liveSockets.cut());
  const upstreams = new Map(
    Object.entries(config.upstreams).map(([name, upstream]) => [
      name,
      createUpstream(name, shareOf(upstream, options.workers), clock),
    ]),
  );
  parts.defer(() => upstreams.forEach((upstream) => upstream.close()));

  let isDraining = false;
  const readiness = (): Readiness[] => [
    {
      name: "listener",
      isReady: !isDraining,
      detail: isDraining ? "The gateway is stopping" : "Accepts connections",
    },
    ...identifier.readiness(),
  ];
  // The port must be known before anything can be said about the public URL, so the listener comes first; no
  // connection can be accepted before this turn of the event loop ends.
  let arrivals: DataPlaneArrivals | undefined;
  const servedHosts = createServedHosts(config);
  const listener: Http1Listener = parts.use(
    createHttp1Listener({
      listen: config.listen,
      servedHosts,
      clientAddress: createClientAddress(config.listen.trustedProxies),
      // 2^32 connections in one life of a worker, and 2^21 lives, stay exact.
      firstConnectionNumber: life * 2 ** 32,
      connections: {
        // The cap is the process's; another worker's connection may slip in between count and check.
        isFull: () => cells.sum(CELL.connections) >= config.listen.maxConnections,
        opened: () => cells.add(worker, CELL.connections, 1),
        closed: () => cells.add(worker, CELL.connections, -1),
      },
      clock,
      acceptFailed: (error, count) => acceptFailed(log, { worker, error, count }),
      arrivals: {
        request: (exchange, oddities) => arrivals?.request(exchange, oddities),
        upgrade: (upgrade, oddities) => arrivals?.upgrade(upgrade, oddities),
        refused: (arrival, write) => arrivals?.refused(arrival, write),
      },
    }),
  );
  await revocations.follow(options.main, liveSessions);
  await options.mayServe?.();
  const port = await listener.listen({ port: options.port, isShared: options.isPortShared });
  const url = config.listen.publicUrl ?? `http://localhost:${port}`;
  const { origin } = new URL(url);
  const table = createRouteTable(routes);
  const identifiers = createIdentifiers(random);
  const typeBase = `${origin}${PROBLEMS_PATH}`;
  const answers = { typeBase, random };
  const allowedOrigins = new Set([origin]);
  const handshakeCloser = new HandshakeCloser({
    clock,
    places: placesIn(cells, { worker, max: config.listen.maxUnauthenticatedSockets }),
    allowedOrigins,
  });
  const road = createRoad({
    table,
    identifier,
    allowedOrigins,
    viaName,
    clock,
    revocations,
    penalties: penalties?.gate,
    strikes: penalties?.strikes,
  });
  arrivals = new DataPlaneArrivals(
    {
      road,
      servedHosts,
      ownEndpoints: createOwnEndpoints({
        readiness,
        jwks: () => keys.jwks,
        endpoints: [
          ...reportEndpoints(options.main),
          ticketEndpoint({ main: options.main, road, table, answers }),
          ...(browserSessions === undefined
            ? []
            : browserEndpoints({ main: options.main, publicUrl: origin, typeBase })),
        ],
      }),
      publicName: createPublicName(
        config,
        browserSessions === undefined ? undefined : new URL(origin),
      ),
      upstreams,
      signer: createAssertionSigner({ issuer: url, keys, clock, random }),
      slowBodies: new SlowBodyWatch(clock),
      relay: { clock, random, recorder, liveSockets, liveSessions, penalties },
      handshakeCloser,
      liveSessions,
      penalties,
      recorder,
      preflights: createPreflights(table, { typeBase, identifiers }),
      identifiers,
      answers,
      viaName,
      keyFields: keyFieldsOf(config),
      clock,
      log,
    },
    {
      hasRoom: () => cells.sum(CELL.inFlight) <= config.listen.maxRequestsInFlight,
      counted: (by) => cells.add(worker, CELL.inFlight, by),
    },
  );
  const running = arrivals;
  const owned = parts.move();
  return {
    port,
    url,
    // Operators see a lost store; balancers do not, or they would take out every gateway at once.
    readiness: () => [...readiness(), ...(shared?.readiness() ?? [])],
    async drain() {
      isDraining = true;
      await Promise.all([
        listener.drain(),
        running.drain(),
        liveSockets.drain(),
        handshakeCloser.drain(),
      ]);
    },
    get requestsInFlight() {
      return running.inFlight;
    },
    get socketsOpen() {
      return liveSockets.size;
    },
    async [Symbol.asyncDispose]() {
      listener.cut();
      await owned.disposeAsync();
    },
  };
}

/**
 * A worker's part of an upstream's caps. Divided, not counted together: connections that one worker keeps idle
 * would otherwise hold places that another one's requests wait for.
 */
function shareOf(upstream: UpstreamConfig, workers: number): UpstreamConfig {
  const { maxConnections, maxQueued } = upstream;
  return {
    ...upstream,
    maxConnections: Math.max(1, Math.floor(maxConnections / workers)),
    maxQueued: Math.floor(maxQueued / workers),
  };
}

/** Sockets for callers who were not let in, of the whole process: what one worker takes the others have not. */
function placesIn(
  cells: WorkerCells,
  { worker, max }: { readonly worker: number; readonly max: number },
): SocketPlaces {
  const add = (by: 1 | -1): void => cells.add(worker, CELL.unauthenticatedSockets, by);
  return {
    take() {
      // Counted first: of two workers that take the last place at once both may go without, and never both get it.
      add(1);
      if (cells.sum(CELL.unauthenticatedSockets) <= max) return true;
      add(-1);
      return false;
    },
    giveBack: () => add(-1),
  };
}

function sweepLimits(limiter: CallLimiter, clock: Clock): Disposable {
  const sweep = (): void => {
    limiter.sweep(clock.monotonicMs(), SWEEP_RECORDS);
    timer = clock.after(SWEEP_INTERVAL_MS, sweep);
  };
  let timer = clock.after(SWEEP_INTERVAL_MS, sweep);
  return { [Symbol.dispose]: () => timer.cancel() };
}

/** One object for all. */
const REVOKED: SessionEnding = { kind: "revoked" };

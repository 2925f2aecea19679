import { CALL_KIND, type Towards } from "../judge/call.ts";
import { VERDICT, VERDICT_NAMES } from "../judge/verdict.ts";
import type { Route } from "../route/route.ts";
import type { LiveKind } from "../session/live-session.ts";
import { ADDED_BOUNDS_MS, DURATION_BOUNDS_MS, observe } from "./histogram.ts";
import { createMetricMemory, type MetricBlock } from "./metric-memory.ts";
import type { RequestRecord, SocketRecord } from "./recorder.ts";
import {
  ADDED_CELLS,
  CLOSE_CODES,
  DURATION_CELLS,
  endedCell,
  ENDERS,
  faultCell,
  handshakeClosedCell,
  OPENED_CELL,
  requestCell,
  ROUTE_CELL_COUNT,
} from "./route-cells.ts";

/** Counts what passes. Adding allocates nothing and takes some tens of nanoseconds; rendering is `render-metrics.ts`. */
export interface Metrics {
  request(record: RequestRecord): void;
  socketOpened(route: Route): void;
  socketEnded(record: SocketRecord): void;
  /** As `Recorder.messageCounters`. */
  messageCounters(route: Route, towards: Towards): Float64Array;
  /** One counter per limit of the route, in the order of `names`; whoever refuses for that limit adds 1. */
  limitCounters(routeId: string, names: readonly string[]): Float64Array;
  /** Of the store of shared limits: whether this thread reaches it (0 or 1), then decisions without it, by `LOST_MODES`. */
  limitStoreCounters(): Float64Array;
  /** Strikes by what they came to (`STRIKE_OUTCOMES`), then what was ended because its caller was boxed (`LIVE_KINDS`). */
  penaltyCounters(): Float64Array;
  readonly blocks: readonly MetricBlock[];
}

/** What strikes come to: a penalty; none, because one runs, or nobody else can be held, or it is not written down. */
export const STRIKE_OUTCOMES = ["boxed", "already-boxed", "full", "failed"] as const;
/** As they are counted. */
export const LIVE_KINDS: readonly LiveKind[] = ["socket", "answer"];

/** What shared limits do while their store is lost. */
export const LOST_MODES = ["deny", "share", "local", "open"] as const;

// A route's id begins with methods or a slash, so this can be nobody's.
const NO_ROUTE = "none";

export function createMetrics(): Metrics {
  const memory = createMetricMemory();
  // The block of a route by the route's object: dies with the configuration that made it.
  const blockOf = new WeakMap<Route, Float64Array>();
  const withoutRoute = memory.claim(
    { kind: "route", routeId: NO_ROUTE, upstream: "", names: [], towards: 0 },
    ROUTE_CELL_COUNT,
  );

  const cellsOf = (route: Route | undefined): Float64Array => {
    if (route === undefined) return withoutRoute;
    let cells = blockOf.get(route);
    if (cells === undefined) {
      const { id, upstream } = route;
      cells = memory.claim(
        { kind: "route", routeId: id, upstream, names: [], towards: 0 },
        ROUTE_CELL_COUNT,
      );
      blockOf.set(route, cells);
    }
    return cells;
  };

  return {
    request(record) {
      const cells = cellsOf(record.route);
      const kind = record.kind === CALL_KIND.request ? 0 : 1;
      increment(cells, requestCell(kind, record.reason, record.status));
      if (record.closeCode !== 0) increment(cells, handshakeClosedCell(record.closeCode));
      if (record.fault !== undefined) increment(cells, faultCell(record.fault));
      observe(cells, DURATION_CELLS, DURATION_BOUNDS_MS, record.durationMs);
      // Refused ones never reached an upstream: how fast we refuse would hide how slowly we forward.
      if (record.verdict === VERDICT.admit && record.target !== "") {
        observe(cells, ADDED_CELLS, ADDED_BOUNDS_MS, record.addedMs);
      }
    },
    socketOpened: (route) => increment(cellsOf(route), OPENED_CELL),
    socketEnded(record) {
      const ender = ENDERS.indexOf(record.endedBy);
      increment(cellsOf(record.route), endedCell(record.closeCode, ender));
    },
    messageCounters(route, towards) {
      const names = route.websocket?.classes ?? [];
      return memory.claim(
        { kind: "messages", routeId: route.id, upstream: route.upstream, names, towards },
        names.length * VERDICT_NAMES.length,
      );
    },
    limitCounters: (routeId, names) =>
      memory.claim({ kind: "limits", routeId, upstream: "", names, towards: 0 }, names.length),
    limitStoreCounters: () =>
      memory.claim(
        { kind: "limit-store", routeId: NO_ROUTE, upstream: "", names: [], towards: 0 },
        1 + LOST_MODES.length,
      ),
    penaltyCounters: () =>
      memory.claim(
        { kind: "penalties", routeId: NO_ROUTE, upstream: "", names: [], towards: 0 },
        STRIKE_OUTCOMES.length + LIVE_KINDS.length,
      ),
    blocks: memory.blocks,
  };
}

function increment(cells: Float64Array, index: number): void {
  cells[index]! += 1;
}

/**
 * The thread that counted is dead: its open sockets ended with it, and nobody else would ever say so. Counted as
 * abnormal closure (1006) by the gateway.
 */
export function endSocketsOf(blocks: readonly MetricBlock[]): void {
  for (const { kind, cells } of blocks) {
    if (kind !== "route") continue;
    let open = cells[OPENED_CELL] ?? 0;
    for (const code of [...CLOSE_CODES, OTHER_CLOSE_CODE])
      for (let ender = 0; ender < ENDERS.length; ender++)
        open -= cells[endedCell(code, ender)] ?? 0;
    cells[endedCell(1006, ENDERS.indexOf("gateway"))]! += open;
  }
}

// Every code that is not listed shares the last cell.
const OTHER_CLOSE_CODE = -1;

import { FAULTS } from "../fault.ts";
import { REASON_BY_CODE } from "../judge/reason.ts";
import { VERDICT_NAMES } from "../judge/verdict.ts";
import { createFamily, type Family, labelText, type Labels } from "./exposition.ts";
import { ADDED_BOUNDS_MS, DURATION_BOUNDS_MS, type Bounds } from "./histogram.ts";
import type { MetricBlock } from "./metric-memory.ts";
import { LIVE_KINDS, LOST_MODES, STRIKE_OUTCOMES } from "./metrics.ts";
import type { ProcessFacts } from "./process-facts.ts";
import {
  ADDED_CELLS,
  CLOSE_CODE_COUNT,
  CLOSE_CODES,
  DURATION_CELLS,
  endedCell,
  ENDERS,
  FAULT_NAMES,
  faultCell,
  handshakeClosedCell,
  KINDS,
  OPENED_CELL,
  requestCell,
  STATUS_CLASSES,
} from "./route-cells.ts";

/** What is rendered beside the counters. */
export interface MetricFacts {
  readonly version: string;
  readonly logLinesDropped: number;
  /** Revocations that still count. */
  readonly revocationsHeld: number;
  /** Callers in the penalty box now; undefined where there is none. */
  readonly callersBoxed: number | undefined;
  readonly process: ProcessFacts;
}

/**
 * Everything as Prometheus text. `docs/metrics.md` lists the families.
 * @param blocks the counters of every thread; equal labels are added up
 */
export function renderMetrics(blocks: readonly MetricBlock[], facts: MetricFacts): string {
  const families = createFamilies();
  for (const block of mergeBlocks(blocks)) {
    if (block.kind === "route") addRoute(families, block);
    if (block.kind === "messages") addMessages(families, block);
    if (block.kind === "limit-store") addLimitStore(families, block);
    if (block.kind === "penalties") addPenalties(families, block);
  }
  for (const block of blocks) {
    if (block.kind === "route") addFaults(families, block);
    if (block.kind === "limits") addLimits(families, block);
  }
  families.blocks.add([], blocks.length);
  families.linesDropped.add([], facts.logLinesDropped);
  families.revocations.add([], facts.revocationsHeld);
  if (facts.callersBoxed !== undefined) families.callersBoxed.add([], facts.callersBoxed);
  return (
    Object.values(families)
      .map((family) => family.text())
      .join("") + processText(facts)
  );
}

function addLimitStore(families: Families, { cells }: MetricBlock): void {
  families.storeUp.add([], cells[0] ?? 0);
  for (const [at, mode] of LOST_MODES.entries())
    families.whileLost.add([["mode", mode]], cells[at + 1] ?? 0);
}

/** All of them from the start, where there are penalties: an alert needs its zero. */
function addPenalties(families: Families, { cells }: MetricBlock): void {
  for (const [at, outcome] of STRIKE_OUTCOMES.entries())
    families.strikes.add([["outcome", outcome]], cells[at] ?? 0);
  for (const [at, kind] of LIVE_KINDS.entries())
    families.penaltyEnds.add([["kind", kind]], cells[STRIKE_OUTCOMES.length + at] ?? 0);
}

type Families = ReturnType<typeof createFamilies>;

const createFamilies = () => ({
  requests: createFamily(
    "tidegate_requests_total",
    "counter",
    "Finished requests and refused handshakes, by status class and by what judging came to.",
  ),
  duration: createFamily(
    "tidegate_request_duration_seconds",
    "histogram",
    "From the arrival of a request's head to the last byte of its answer.",
  ),
  added: createFamily(
    "tidegate_added_latency_seconds",
    "histogram",
    "What the gateway itself added before the upstream was asked; forwarded requests only.",
  ),
  faults: createFamily(
    "tidegate_faults_total",
    "counter",
    "Requests and handshakes that ended in a fault, by the side whose fault it was.",
  ),
  limits: createFamily(
    "tidegate_limit_refusals_total",
    "counter",
    "Requests and messages over a limit, by the limit's name.",
  ),
  storeUp: createFamily(
    "tidegate_limit_store_threads_up",
    "gauge",
    "Threads that reach the store of shared limits now.",
  ),
  whileLost: createFamily(
    "tidegate_limit_store_lost_decisions_total",
    "counter",
    "Limits decided without their store, by what they do then.",
  ),
  strikes: createFamily(
    "tidegate_strikes_total",
    "counter",
    "Callers who went on over their limits, by what it came to.",
  ),
  callersBoxed: createFamily(
    "tidegate_callers_boxed",
    "gauge",
    "Callers who sit in the penalty box now; those of all gateways that share it.",
  ),
  penaltyEnds: createFamily(
    "tidegate_penalty_ends_total",
    "counter",
    "Sockets and long answers that were ended because their caller was boxed.",
  ),
  messages: createFamily(
    "tidegate_messages_total",
    "counter",
    "Messages inside sockets, by direction, class and verdict.",
  ),
  socketsOpen: createFamily("tidegate_sockets_open", "gauge", "Sockets that are open now."),
  socketsOpened: createFamily("tidegate_sockets_opened_total", "counter", "Sockets opened."),
  socketsEnded: createFamily(
    "tidegate_sockets_ended_total",
    "counter",
    "Sockets ended, by close code and who ended them.",
  ),
  handshakesClosed: createFamily(
    "tidegate_handshakes_closed_total",
    "counter",
    "Refused handshakes that were accepted to tell a page why, by close code.",
  ),
  linesDropped: createFamily(
    "tidegate_log_lines_dropped_total",
    "counter",
    "Log lines lost because their destination was too slow or broken.",
  ),
  revocations: createFamily(
    "tidegate_revocations_held",
    "gauge",
    "Revocations that some credential could still meet.",
  ),
  blocks: createFamily(
    "tidegate_metric_blocks",
    "gauge",
    "Blocks of counters in use; new routes are not counted beyond 16384.",
  ),
});

/**
 * One block for all of a route: of every thread, and of every upstream that reloads gave it. What is told apart by
 * upstream is taken from the blocks themselves.
 */
function mergeBlocks(blocks: readonly MetricBlock[]): MetricBlock[] {
  const merged = new Map<string, MetricBlock>();
  for (const block of blocks) {
    const { kind, routeId, towards, names, cells } = block;
    const key = JSON.stringify([kind, routeId, towards, names]);
    const other = merged.get(key)?.cells;
    const sum = other === undefined ? cells : cells.map((count, index) => count + other[index]!);
    merged.set(key, { ...block, cells: sum });
  }
  return [...merged.values()];
}

function addRoute(families: Families, { routeId, cells }: MetricBlock): void {
  const route = ["route", routeId] as const;
  for (const [kind, kindName] of KINDS.entries()) {
    for (const [code, reason] of REASON_BY_CODE.entries()) {
      for (const [statusClass, status] of STATUS_CLASSES.entries()) {
        const count = cells[requestCell(kind, code, statusClass * 100)] ?? 0;
        if (count === 0) continue;
        const labels: Labels = [
          route,
          ["kind", kindName],
          ["status", status],
          ["verdict", VERDICT_NAMES[reason.verdict]],
          ["reason", reason.name],
        ];
        families.requests.append("", labelText(labels), count);
      }
    }
  }
  const routeText = labelText([route]);
  addHistogram(families.duration, routeText, cells, DURATION_CELLS, DURATION_BOUNDS_MS);
  addHistogram(families.added, routeText, cells, ADDED_CELLS, ADDED_BOUNDS_MS);
  addSockets(families, routeId, cells);
  addHandshakesClosed(families, routeId, cells);
}

function addFaults(families: Families, { routeId, upstream, cells }: MetricBlock): void {
  for (const fault of FAULT_NAMES) {
    const count = cells[faultCell(fault)] ?? 0;
    if (count === 0) continue;
    const labels: Labels = [
      ["route", routeId],
      ["upstream", upstream],
      ["side", FAULTS[fault].side],
      ["fault", fault],
    ];
    families.faults.add(labels, count);
  }
}

function addHandshakesClosed(families: Families, routeId: string, cells: Float64Array): void {
  for (let index = 0; index < CLOSE_CODE_COUNT; index += 1) {
    const code = CLOSE_CODES[index];
    const count = cells[handshakeClosedCell(code ?? 0)] ?? 0;
    if (count === 0) continue;
    const labels: Labels = [
      ["route", routeId],
      ["code", String(code ?? "other")],
    ];
    families.handshakesClosed.add(labels, count);
  }
}

function addSockets(families: Families, routeId: string, cells: Float64Array): void {
  const opened = cells[OPENED_CELL] ?? 0;
  if (opened === 0) return;
  const route = ["route", routeId] as const;
  let ended = 0;
  for (let index = 0; index < CLOSE_CODE_COUNT; index += 1) {
    const code = CLOSE_CODES[index];
    for (const [ender, by] of ENDERS.entries()) {
      const count = cells[endedCell(code ?? 0, ender)] ?? 0;
      if (count === 0) continue;
      ended += count;
      families.socketsEnded.add([route, ["code", String(code ?? "other")], ["by", by]], count);
    }
  }
  families.socketsOpened.add([route], opened);
  families.socketsOpen.add([route], opened - ended);
}

function addMessages(families: Families, block: MetricBlock): void {
  const { routeId, names, cells, towards } = block;
  for (const [verdict, verdictName] of VERDICT_NAMES.entries()) {
    for (const [index, name] of names.entries()) {
      const count = cells[verdict * names.length + index] ?? 0;
      if (count === 0) continue;
      const labels: Labels = [
        ["route", routeId],
        ["towards", towards === 0 ? "upstream" : "client"],
        ["class", name],
        ["verdict", verdictName],
      ];
      families.messages.append("", labelText(labels), count);
    }
  }
}

/** Limits are few and configured, so all of them are shown from the start: a rate needs its zero. */
function addLimits(families: Families, { routeId, names, cells }: MetricBlock): void {
  for (const [index, name] of names.entries()) {
    families.limits.add(
      [
        ["route", routeId],
        ["limit", name],
      ],
      cells[index] ?? 0,
    );
  }
}

function addHistogram(
  family: Family,
  labels: string,
  cells: Float64Array,
  offset: number,
  bounds: Bounds,
): void {
  // Nothing seen, nothing said: 16 lines for every route that is never called would be most of the page.
  let count = 0;
  for (let index = 0; index <= bounds.length; index += 1) count += cells[offset + index] ?? 0;
  if (count === 0) return;
  let below = 0;
  for (const [index, boundMs] of bounds.entries()) {
    below += cells[offset + index] ?? 0;
    family.append("_bucket", `${labels},le="${boundMs / 1_000}"`, below);
  }
  family.append("_bucket", `${labels},le="+Inf"`, count);
  family.append("_sum", labels, (cells[offset + bounds.length + 1] ?? 0) / 1_000);
  family.append("_count", labels, count);
}

function processText({ version, process }: MetricFacts): string {
  const lines: [string, "counter" | "gauge", string, Labels, number][] = [
    [
      "tidegate_build_info",
      "gauge",
      "Which build runs; always 1.",
      [
        ["version", version],
        ["node", process.nodeVersion],
      ],
      1,
    ],
    [
      "process_cpu_user_seconds_total",
      "counter",
      "CPU time in user mode.",
      [],
      process.cpuUserSeconds,
    ],
    [
      "process_cpu_system_seconds_total",
      "counter",
      "CPU time in the kernel.",
      [],
      process.cpuSystemSeconds,
    ],
    ["process_resident_memory_bytes", "gauge", "Resident memory.", [], process.residentBytes],
    ["process_start_time_seconds", "gauge", "When it started.", [], process.startedAtSeconds],
    ["nodejs_heap_used_bytes", "gauge", "JavaScript heap in use.", [], process.heapUsedBytes],
    [
      "nodejs_external_memory_bytes",
      "gauge",
      "Memory of buffers outside the heap.",
      [],
      process.externalBytes,
    ],
  ];
  const delay = createFamily(
    "nodejs_eventloop_delay_seconds",
    "gauge",
    "How late the event loop ran timers since the last scrape.",
  );
  delay.add([["statistic", "p50"]], process.eventLoopDelay.p50Seconds);
  delay.add([["statistic", "p99"]], process.eventLoopDelay.p99Seconds);
  delay.add([["statistic", "max"]], process.eventLoopDelay.maxSeconds);
  const texts = lines.map(([name, type, help, labels, value]) => {
    const family = createFamily(name, type, help);
    family.add(labels, value);
    return family.text();
  });
  return texts.join("") + delay.text();
}

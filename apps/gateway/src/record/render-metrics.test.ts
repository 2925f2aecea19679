import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";
import { missingProgram } from "@tidegate/testkit";
import { REASON } from "../judge/reason.ts";
import { VERDICT } from "../judge/verdict.ts";
import { createMetricMemory } from "./metric-memory.ts";
import { createMetrics } from "./metrics.ts";
import { requestFixture, routeFixture, socketFixture } from "./record-fixture.ts";
import { renderMetrics, type MetricFacts } from "./render-metrics.ts";

const facts: MetricFacts = {
  version: "1.2.3",
  revocationsHeld: 0,
  callersBoxed: 0,
  logLinesDropped: 4,
  process: {
    cpuUserSeconds: 1.5,
    cpuSystemSeconds: 0.25,
    residentBytes: 70_000_000,
    heapUsedBytes: 10_000_000,
    externalBytes: 2_000_000,
    startedAtSeconds: 1_700_000_000.5,
    nodeVersion: "v26.10.0",
    eventLoopDelay: { p50Seconds: 0.001, p99Seconds: 0.01, maxSeconds: 0.2 },
  },
};

interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/**
 * A parser of the text format 0.0.4, written from its description and not from our writer. It refuses samples
 * outside their family, families given twice, samples given twice, and labels that are not escaped.
 */
function parse(text: string): Sample[] {
  assert.ok(text.endsWith("\n"));
  const samples: Sample[] = [];
  const families = new Set<string>();
  const seen = new Set<string>();
  let family = "";
  let type = "";
  for (const line of text.slice(0, -1).split("\n")) {
    const meta = /^# (HELP|TYPE) ([a-zA-Z_:][a-zA-Z0-9_:]*) (.+)$/.exec(line);
    if (meta !== null) {
      const [, kind, name = "", rest = ""] = meta;
      if (kind === "HELP") {
        assert.ok(!families.has(name), `${name} is given twice`);
        families.add(name);
        family = name;
      } else {
        assert.equal(name, family);
        assert.match(rest, /^(counter|gauge|histogram)$/);
        type = rest;
      }
      continue;
    }
    const parts = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$/.exec(line);
    assert.ok(parts !== null, `not a sample: ${line}`);
    const [, name = "", labelText = "", valueText = ""] = parts;
    const base = type === "histogram" ? name.replace(/_(bucket|sum|count)$/, "") : name;
    assert.equal(base, family, line);
    const labels: Record<string, string> = {};
    let rest = labelText;
    while (rest !== "") {
      const label = /^([a-zA-Z_]\w*)="((?:[^"\\\n]|\\["\\n])*)"(?:,|$)/.exec(rest);
      assert.ok(label !== null, `bad labels: ${line}`);
      const [whole, key = "", value = ""] = label;
      assert.equal(labels[key], undefined, `label twice: ${line}`);
      labels[key] = value.replaceAll(/\\(.)/g, (_, one: string) => (one === "n" ? "\n" : one));
      rest = rest.slice(whole.length);
    }
    const identity = `${name} ${JSON.stringify(Object.entries(labels).map(String).toSorted())}`;
    assert.ok(!seen.has(identity), `sample twice: ${line}`);
    seen.add(identity);
    const value = valueText === "+Inf" ? Number.POSITIVE_INFINITY : Number(valueText);
    assert.ok(!Number.isNaN(value), line);
    samples.push({ name, labels, value });
  }
  return samples;
}

function valueOf(samples: Sample[], name: string, labels: Record<string, string> = {}): number {
  const found = samples.filter(
    (sample) =>
      sample.name === name &&
      Object.entries(labels).every(([key, value]) => sample.labels[key] === value),
  );
  return found.reduce((sum, sample) => sum + sample.value, 0);
}

/** Counts a little of everything. */
function filled() {
  const metrics = createMetrics();
  metrics.request(requestFixture());
  metrics.request(requestFixture({ status: 204, addedMs: 30, durationMs: 700 }));
  metrics.request(
    requestFixture({ status: 429, verdict: VERDICT.throttle, reason: REASON.limit_exceeded }),
  );
  metrics.request(
    requestFixture({
      route: undefined,
      status: 404,
      verdict: VERDICT.reject,
      reason: REASON.route_unknown,
    }),
  );
  metrics.request(requestFixture({ status: 504, fault: "upstream_timeout" }));
  metrics.request(requestFixture({ status: 499, fault: "client_gone" }));
  const live = routeFixture("/documents/*/live", ["text", "binary", "control"]);
  for (let count = 0; count < 5; count += 1) metrics.socketOpened(live);
  metrics.socketEnded(socketFixture({ route: live }));
  metrics.socketEnded(socketFixture({ route: live, closeCode: 4429, endedBy: "gateway" }));
  metrics.socketEnded(socketFixture({ route: live, closeCode: 3999, endedBy: "upstream" }));
  const messages = metrics.messageCounters(live, 0);
  messages[VERDICT.admit * 3 + 0] = 10;
  messages[VERDICT.throttle * 3 + 1] = 3;
  metrics.messageCounters(live, 1)[0] = 7;
  const limits = metrics.limitCounters("GET /bank/accounts/**", ["user-100", "address-5"]);
  limits[1]! += 2;
  return metrics;
}

test("renderMetrics() escapes names, whatever a configuration holds, and gives no sample twice", () => {
  const metrics = createMetrics();
  const id = 'GET /a"b\\c\nd';
  metrics.request(requestFixture({ route: routeFixture(id) }));
  // A second route object of the same id, as after a reload: one sample, added up.
  metrics.request(requestFixture({ route: routeFixture(id) }));
  const samples = parse(renderMetrics(metrics.blocks, facts));
  assert.equal(valueOf(samples, "tidegate_requests_total", { route: id }), 2);
});

test("renderMetrics() shows requests by route, status class, verdict and reason", () => {
  const samples = parse(renderMetrics(filled().blocks, facts));
  const name = "tidegate_requests_total";
  const route = "GET /bank/accounts/**";
  assert.equal(valueOf(samples, name), 6);
  assert.equal(valueOf(samples, name, { route, status: "2xx", verdict: "admit" }), 2);
  assert.equal(valueOf(samples, name, { verdict: "throttle", reason: "quota-exceeded" }), 1);
  assert.equal(valueOf(samples, name, { route: "none", reason: "route-unknown" }), 1);
  assert.equal(valueOf(samples, name, { status: "none" }), 1);
  assert.equal(
    valueOf(samples, "tidegate_faults_total", { side: "upstream", fault: "upstream_timeout" }),
    1,
  );
});

test("renderMetrics() shows histograms that add up, and added latency of forwarded requests only", () => {
  const samples = parse(renderMetrics(filled().blocks, facts));
  const route = "GET /bank/accounts/**";
  for (const name of ["tidegate_request_duration_seconds", "tidegate_added_latency_seconds"]) {
    const buckets = samples.filter(
      (sample) => sample.name === `${name}_bucket` && sample.labels["route"] === route,
    );
    const counts = buckets.map((bucket) => bucket.value);
    assert.deepEqual(
      counts,
      counts.toSorted((a, b) => a - b),
      "buckets are cumulative",
    );
    assert.equal(buckets.at(-1)?.labels["le"], "+Inf");
    assert.equal(counts.at(-1), valueOf(samples, `${name}_count`, { route }));
  }
  assert.equal(valueOf(samples, "tidegate_added_latency_seconds_count", { route }), 4);
  const within = { route, le: "0.025" };
  assert.equal(valueOf(samples, "tidegate_added_latency_seconds_bucket", within), 3);
  assert.equal(valueOf(samples, "tidegate_added_latency_seconds_bucket", { route, le: "0.05" }), 4);
});

test("renderMetrics() shows sockets and messages, and counts foreign close codes together", () => {
  const samples = parse(renderMetrics(filled().blocks, facts));
  assert.equal(valueOf(samples, "tidegate_sockets_open"), 2);
  assert.equal(valueOf(samples, "tidegate_sockets_opened_total"), 5);
  assert.equal(
    valueOf(samples, "tidegate_sockets_ended_total", { code: "4429", by: "gateway" }),
    1,
  );
  assert.equal(valueOf(samples, "tidegate_sockets_ended_total", { code: "other" }), 1);
  const messages = "tidegate_messages_total";
  assert.equal(valueOf(samples, messages, { towards: "upstream", class: "text" }), 10);
  assert.equal(valueOf(samples, messages, { class: "binary", verdict: "throttle" }), 3);
  assert.equal(valueOf(samples, messages, { towards: "client" }), 7);
  assert.equal(valueOf(samples, "tidegate_limit_refusals_total", { limit: "address-5" }), 2);
  assert.equal(valueOf(samples, "tidegate_limit_refusals_total", { limit: "user-100" }), 0);
});

test("renderMetrics() adds up the counters of several threads", () => {
  const one = filled();
  const samples = parse(renderMetrics([...one.blocks, ...filled().blocks], facts));
  assert.equal(valueOf(samples, "tidegate_requests_total"), 12);
  assert.equal(valueOf(samples, "tidegate_sockets_open"), 4);
  const { buffer } = one.blocks[0]?.cells ?? new Float64Array();
  assert.ok(buffer instanceof SharedArrayBuffer);
});

test("renderMetrics() shows the process and the lines that were lost", () => {
  const samples = parse(renderMetrics([], facts));
  assert.equal(valueOf(samples, "tidegate_log_lines_dropped_total"), 4);
  assert.equal(valueOf(samples, "tidegate_build_info", { version: "1.2.3" }), 1);
  assert.equal(valueOf(samples, "process_resident_memory_bytes"), 70_000_000);
  assert.equal(valueOf(samples, "nodejs_eventloop_delay_seconds", { statistic: "max" }), 0.2);
});

test("request() ignores times that are none, so that no sum is spoilt", () => {
  const metrics = createMetrics();
  metrics.request(requestFixture({ durationMs: Number.NaN, addedMs: -1 }));
  const samples = parse(renderMetrics(metrics.blocks, facts));
  assert.equal(valueOf(samples, "tidegate_request_duration_seconds_count"), 0);
  assert.equal(valueOf(samples, "tidegate_requests_total"), 1);
});

test("claim() stops at its bound and still hands out memory", () => {
  const memory = createMetricMemory(2);
  const claim = (routeId: string) =>
    memory.claim({ kind: "route", routeId, upstream: "", names: [], towards: 0 }, 8);
  for (const id of ["a", "b", "c", "d"]) claim(id)[0]! += 1;
  assert.equal(memory.blocks.length, 2);
  assert.equal(claim("a")[0], 1);
});

test("promtool finds nothing to complain about", { skip: missingProgram("promtool") }, () => {
  const input = renderMetrics(filled().blocks, facts);
  execFileSync("promtool", ["check", "metrics"], { input, stdio: ["pipe", "pipe", "pipe"] });
});

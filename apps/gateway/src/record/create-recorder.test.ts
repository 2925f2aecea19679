import assert from "node:assert/strict";
import { test } from "node:test";
import { manualClock } from "@tidegate/clock";
import { REASON } from "../judge/reason.ts";
import { VERDICT } from "../judge/verdict.ts";
import { createRecorder } from "./create-recorder.ts";
import { createLogger, type Log, type LogLevel } from "./logger.ts";
import { createMetrics } from "./metrics.ts";
import { requestFixture, routeFixture, socketFixture } from "./record-fixture.ts";
import type { Recorder } from "./recorder.ts";

/** A recorder whose lines can be read back. */
function open(options: { readonly level?: LogLevel; readonly writesRequests?: boolean } = {}): {
  readonly recorder: Recorder;
  readonly log: Log;
  readonly text: () => Promise<string>;
  readonly lines: () => Promise<Record<string, unknown>[]>;
} {
  const { level = "info", writesRequests = true } = options;
  let written = "";
  const log = createLogger({
    level,
    destination: {
      write(chunk, done) {
        written += chunk.toString("utf8");
        queueMicrotask(() => done(undefined));
      },
      close: () => undefined,
    },
    maxBufferedBytes: 1_000_000,
    clock: manualClock(Date.UTC(2026, 0, 2, 3, 4, 5, 678)),
  });
  const text = async (): Promise<string> => {
    assert.equal(await log.flush(1_000), 0);
    return written;
  };
  return {
    recorder: createRecorder({ log, metrics: createMetrics(), writesRequests }),
    log,
    text,
    lines: async () =>
      (await text())
        .trimEnd()
        .split("\n")
        .filter((line) => line !== "")
        .map((line) => JSON.parse(line)),
  };
}

test("request() writes one line that nobody can forge, whatever the texts hold", async () => {
  const { recorder, text, lines } = open();
  const forged = 'x"}\n{"level":"error","event":"request"}\r\n\u2028\u009b';
  recorder.request(
    requestFixture({
      method: forged,
      subject: forged,
      issuer: forged,
      target: forged,
      fault: "upstream_garbage",
      faultDetail: forged,
      requestId: forged,
    }),
  );
  recorder.socketEnded(socketFixture({ closeReason: forged, subject: forged }));
  assert.equal((await text()).split("\n").length - 1, 2);
  const [request, socket] = await lines();
  assert.equal(request?.["subject"], forged);
  assert.equal(request?.["level"], "warn");
  assert.equal(socket?.["closeReason"], forged);
});

test("request() writes ids and numbers, and names the route by its pattern", async () => {
  const { recorder, lines } = open();
  recorder.request(requestFixture());
  assert.deepEqual(await lines(), [
    {
      level: "info",
      time: "2026-01-02T03:04:05.678Z",
      event: "request",
      requestId: "0123456789abcdef0123456789abcdef",
      traceId: "fedcba9876543210fedcba9876543210",
      kind: "request",
      method: "GET",
      status: 200,
      verdict: "admit",
      routeId: "GET /bank/accounts/**",
      issuer: "https://tenant.example/",
      subject: "ada",
      target: "127.0.0.1:4103",
      address: "192.0.2.1",
      connection: 7,
      requestBytes: 0,
      answerBytes: 64,
      durationMs: 1.235,
      upstreamMs: 0.9,
      addedMs: 0.08,
    },
  ]);
});

test("request() stays valid JSON when a number is none", async () => {
  const { recorder, lines } = open();
  recorder.request(
    requestFixture({ durationMs: Number.NaN, upstreamMs: Number.POSITIVE_INFINITY }),
  );
  const [line] = await lines();
  assert.equal(line?.["durationMs"], 0);
  assert.equal(line?.["upstreamMs"], 0);
});

test("request() is an error only for what we did, a warning for upstreams and capacity, else information", async () => {
  const { recorder, lines } = open();
  recorder.request(requestFixture({ verdict: VERDICT.throttle, reason: REASON.limit_exceeded }));
  recorder.request(requestFixture({ fault: "client_gone" }));
  recorder.request(requestFixture({ fault: "draining" }));
  recorder.request(requestFixture({ fault: "upstream_timeout" }));
  recorder.request(requestFixture({ verdict: VERDICT.shed, reason: REASON.overloaded }));
  recorder.request(requestFixture({ fault: "internal" }));
  assert.deepEqual(
    (await lines()).map((line) => line["level"]),
    ["info", "info", "info", "warn", "warn", "error"],
  );
});

test("request() without request lines still writes what upstreams and we did wrong", async () => {
  const { recorder, lines } = open({ writesRequests: false });
  recorder.request(requestFixture());
  recorder.request(requestFixture({ fault: "internal" }));
  recorder.socketEnded(socketFixture());
  assert.deepEqual(
    (await lines()).map((line) => line["fault"]),
    ["internal"],
  );
});

test("request() keeps to the least level", async () => {
  const { recorder, lines } = open({ level: "error" });
  recorder.request(requestFixture());
  recorder.request(requestFixture({ fault: "upstream_timeout" }));
  assert.deepEqual(await lines(), []);
});

test("request() says nothing of a route where none was found", async () => {
  const { recorder, lines } = open();
  recorder.request(
    requestFixture({
      route: undefined,
      status: 404,
      verdict: VERDICT.reject,
      reason: REASON.route_unknown,
      subject: "",
      target: "",
    }),
  );
  const [line] = await lines();
  assert.equal(line?.["reason"], "route-unknown");
  assert.equal("routeId" in (line ?? {}), false);
  assert.equal("subject" in (line ?? {}), false);
});

test("socketEnded() writes counters by direction and class", async () => {
  const { recorder, lines } = open();
  recorder.socketEnded(socketFixture());
  const [line] = await lines();
  assert.equal(line?.["event"], "socket.ended");
  assert.deepEqual(line?.["messages"], {
    upstream: { text: 5, control: 1 },
    client: { binary: 9 },
  });
  assert.deepEqual(line?.["dropped"], { upstream: { text: 2 }, client: {} });
});

test("event() censors credentials, escapes what terminals obey and survives hostile errors", async () => {
  const { log, text, lines } = open();
  const hostile = new Error("boom");
  Object.defineProperty(hostile, "stack", {
    get(): string {
      throw new Error("in the getter");
    },
  });
  log.event("warn", "test.leak", { authorization: "Bearer abc", detail: "\u009b2J\nx" });
  log.event("error", "test.hostile", { error: hostile });
  log.event("error", "test.cause", { error: new Error("outer", { cause: new Error("inner") }) });
  const written = await text();
  assert.doesNotMatch(written, /Bearer abc|\u009b/);
  const events = await lines();
  assert.equal(events[0]?.["authorization"], "[secret]");
  assert.equal(events[0]?.["detail"], "\u009b2J\nx");
  assert.match(JSON.stringify(events.at(-1)), /outer.*inner/);
  assert.equal(events.length + log.droppedLines, 3);
});

test("messageCounters() hands out the same memory for the same route and direction", () => {
  const { recorder } = open();
  const route = routeFixture("/live", ["text", "binary", "control"]);
  const upstream = recorder.messageCounters(route, 0);
  assert.equal(recorder.messageCounters(route, 0), upstream);
  assert.notEqual(recorder.messageCounters(route, 1), upstream);
  assert.equal(upstream.length, 8 * 3);
});

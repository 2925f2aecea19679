import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { createMetrics } from "../src/record/metrics.ts";
import { readProcessFacts } from "../src/record/process-facts.ts";
import { requestFixture, socketFixture } from "../src/record/record-fixture.ts";
import { renderMetrics } from "../src/record/render-metrics.ts";
import { requestLine } from "../src/record/request-line.ts";
import { socketLine } from "../src/record/socket-line.ts";

const root = join(import.meta.dirname, "../../..");
const read = (path: string): string => readFileSync(join(root, path), "utf8");
const names = (text: string, pattern: RegExp): string[] =>
  [...text.matchAll(pattern)].map((match) => match[1] ?? "").toSorted();

test("docs/metrics.md lists exactly the families that are rendered", () => {
  using facts = readProcessFacts();
  const page = renderMetrics(createMetrics().blocks, {
    version: "0",
    revocationsHeld: 0,
    callersBoxed: 0,
    logLinesDropped: 0,
    process: facts.read(),
  });
  const rendered = names(page, /^# TYPE (\S+)/gm);
  assert.ok(rendered.length > 15);
  assert.deepEqual(names(read("docs/metrics.md"), /^\| `(\w+)` +\|/gm), rendered);
});

test("docs/log.md lists exactly the events that are written", () => {
  const source = read("apps/gateway/src/record/events.ts");
  const written = names(source, /log\.event\("\w+", "([^"]+)"/g);
  assert.ok(written.length > 8);
  assert.deepEqual(names(read("docs/log.md"), /^\| `([a-z-]+\.[a-z-]+)` +\|/gm), written);
});

test("docs/log.md names every field of the request and socket lines", () => {
  const text = read("docs/log.md");
  const request = requestFixture({ fault: "upstream_timeout", faultDetail: "x", reason: 1 });
  const lines = [requestLine(request, "info", "t"), socketLine(socketFixture(), "info", "t")];
  for (const line of lines) {
    for (const field of Object.keys(JSON.parse(line))) {
      assert.ok(text.includes(`\`${field}\``), field);
    }
  }
});

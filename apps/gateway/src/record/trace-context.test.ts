import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { systemRandom } from "@tidegate/clock";
import { createIdentifiers } from "./identifiers.ts";
import { continueTrace } from "./trace-context.ts";

const ids = createIdentifiers(systemRandom);
const trace = "4bf92f3577b34da6a3ce929d0e0e4736";
const parent = "00f067aa0ba902b7";
const WRITTEN = /^00-[0-9a-f]{32}-[0-9a-f]{16}-0[01]$/;

test("continueTrace() begins a trace where the field is absent or invalid, and drops its tracestate", () => {
  const invalid = [
    undefined,
    "",
    `00-${trace}-${parent}`,
    `00-${trace}-${parent}-01-`,
    `00-${trace}-${parent}-01-extra`,
    `00-${"0".repeat(32)}-${parent}-01`,
    `00-${trace}-${"0".repeat(16)}-01`,
    `00-${trace.toUpperCase()}-${parent}-01`,
    `00-${trace.slice(1)}-${parent}-01`,
    `00-${trace}-${parent}-1`,
    `00-${trace}-${parent}-0g`,
    ` 00-${trace}-${parent}-01`,
    `00-${trace}-${parent}-01,00-${trace}-${parent}-01`,
    `ff-${trace}-${parent}-01`,
    `0-${trace}-${parent}-01`,
    `cc-${trace}-${parent}-01.what`,
    `cc-${trace}-${parent}-01-${"x".repeat(300)}`,
    `00-${trace}-${parent}-01\n`,
  ];
  for (const field of invalid) {
    const context = continueTrace(field, ids);
    assert.match(context.traceparent, WRITTEN, String(field));
    assert.notEqual(context.traceId, trace, String(field));
    assert.equal(context.keepsTracestate, false, String(field));
    assert.equal(context.traceparent.slice(3, 35), context.traceId);
  }
});

test("continueTrace() keeps the trace and its sampling, under a parent id of its own", () => {
  const context = continueTrace(`00-${trace}-${parent}-01`, ids);
  assert.equal(context.traceId, trace);
  assert.match(context.traceparent, new RegExp(`^00-${trace}-(?!${parent})[0-9a-f]{16}-01$`));
  assert.equal(context.keepsTracestate, true);
  assert.match(continueTrace(`00-${trace}-${parent}-00`, ids).traceparent, /-00$/);
});

test("continueTrace() sends flags it does not understand as zero", () => {
  assert.match(continueTrace(`00-${trace}-${parent}-ff`, ids).traceparent, /-01$/);
  assert.match(continueTrace(`00-${trace}-${parent}-fe`, ids).traceparent, /-00$/);
});

test("continueTrace() reads a later version by what it shares with 00, and answers in 00", () => {
  for (const field of [`cc-${trace}-${parent}-01`, `cc-${trace}-${parent}-01-what-will-come`]) {
    const context = continueTrace(field, ids);
    assert.equal(context.traceId, trace);
    assert.match(context.traceparent, WRITTEN);
  }
});

test("continueTrace() writes a valid field for any text", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (field) => {
      assert.match(continueTrace(field, ids).traceparent, WRITTEN);
    }),
  );
});

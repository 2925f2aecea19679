import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { REASON } from "../judge/reason.ts";
import { inspectRequest, type RawRequest } from "./inspect-request.ts";
import type { RequestHead } from "./request-head.ts";

const OPTIONS = { maxTargetBytes: 64, servedHosts: new Set(["localhost", "[::1]"]) };

const raw = (given: Partial<RawRequest> = {}): RawRequest => ({
  method: "GET",
  target: "/a?b=c",
  httpVersion: "1.1",
  fields: ["Host", "localhost:8080"],
  isEncrypted: false,
  ...given,
});

const withFields = (...fields: readonly string[]): RawRequest =>
  raw({ fields: ["Host", "localhost:8080", ...fields] });

function headOf(request: RawRequest): RequestHead {
  const inspected = inspectRequest(request, OPTIONS);
  assert.ok("head" in inspected, JSON.stringify(inspected));
  return inspected.head;
}

describe("inspectRequest() refuses", () => {
  const malformed: Readonly<Record<string, RawRequest>> = {
    "two Host": withFields("host", "localhost:8080"),
    "two Authorization": withFields("Authorization", "a", "AUTHORIZATION", "a"),
    "two Content-Type": withFields("Content-Type", "a/b", "content-type", "a/b"),
    "two Origin": withFields("Origin", "http://a", "Origin", "http://a"),
    "two lengths, though equal": withFields("Content-Length", "1", "Content-Length", "1"),
    "a length with a sign": withFields("Content-Length", "+1"),
    "a length in hexadecimal": withFields("Content-Length", "0x1"),
    "a length as a list": withFields("Content-Length", "1, 1"),
    "a length beyond all numbers": withFields("Content-Length", "1".repeat(16)),
    "another coding": withFields("Transfer-Encoding", "gzip, chunked"),
    "a coding in other letters": withFields("Transfer-Encoding", "Chunked"),
    "two codings": withFields("Transfer-Encoding", "chunked", "Transfer-Encoding", "chunked"),
    "a coding with HTTP/1.0": {
      ...withFields("Transfer-Encoding", "chunked"),
      httpVersion: "1.0",
    },
    TRACE: raw({ method: "TRACE" }),
    "Connection that takes the length away": withFields("Connection", "close, Content-Length"),
    "Connection that takes Host away": withFields("Connection", "hOsT"),
    "Connection that takes the credential away": withFields(
      "Connection",
      "x",
      "Connection",
      "authorization",
    ),
    "no Host": raw({ fields: [] }),
    "an empty Host": raw({ fields: ["Host", ""] }),
    "Host with a path": raw({ fields: ["Host", "localhost/x"] }),
    "Host with userinfo": raw({ fields: ["Host", "a@localhost"] }),
    "Host with a long port": raw({ fields: ["Host", "localhost:123456"] }),
    "Host with a line end": raw({ fields: ["Host", "localhost\nx"] }),
    "a fragment": raw({ target: "/a#b" }),
    "a backslash": raw({ target: "/a\\b" }),
    "two slashes first": raw({ target: "//evil.test/a" }),
    "neither path nor URL": raw({ target: "*" }),
    "another scheme": raw({ target: "https://localhost:8080/a" }),
    "another host": raw({ target: "http://evil.test/a", fields: ["Host", "evil.test"] }),
    "a host that is not that of Host": raw({ target: "http://[::1]/a" }),
    "userinfo in the target": raw({ target: "http://localhost:8080@evil.test/a" }),
    "two slashes behind the host": raw({ target: "http://localhost:8080//a" }),
  };
  for (const [what, request] of Object.entries(malformed))
    test(what, () => {
      const inspected = inspectRequest(request, OPTIONS);
      assert.ok("reason" in inspected);
      assert.equal(inspected.reason, REASON.malformed_request);
      // The words go to whoever asked: nothing that they sent is in them.
      assert.doesNotMatch(inspected.detail, /evil|0x1/);
    });

  test("what has reasons of its own", () => {
    const reasonOf = (request: RawRequest): unknown => {
      const inspected = inspectRequest(request, OPTIONS);
      return "reason" in inspected ? inspected.reason : undefined;
    };
    assert.equal(reasonOf(raw({ target: `/${"a".repeat(64)}` })), REASON.target_too_long);
    assert.equal(reasonOf(raw({ target: `/${"a".repeat(63)}` })), undefined);
    assert.equal(reasonOf(raw({ target: "/%" })), REASON.bad_path);
    assert.equal(reasonOf(raw({ target: "/../a" })), REASON.bad_path);
    assert.equal(reasonOf(withFields("Expect", "200-ok")), REASON.expectation_failed);
    const twice = withFields("Expect", "100-continue", "Expect", "100-continue");
    assert.equal(reasonOf(twice), REASON.expectation_failed);
  });
});

describe("inspectRequest() gathers", () => {
  test("path, query and host from either form of target", () => {
    const { path, query, host, authority } = headOf(raw());
    assert.deepEqual([path, query, host, authority], ["/a", "?b=c", "localhost", "localhost:8080"]);
    const absolute = headOf(
      raw({ target: "HTTP://LOCALHOST:8080?q", fields: [], httpVersion: "1.0" }),
    );
    assert.deepEqual([absolute.path, absolute.query, absolute.host], ["/", "?q", "localhost"]);
    assert.equal(headOf(raw({ fields: ["Host", "[::1]:80"] })).host, "[::1]");
    assert.equal(headOf(raw({ fields: [], httpVersion: "1.0" })).host, "");
  });

  test("how long the body is", () => {
    assert.equal(headOf(raw()).bodyBytes, 0);
    assert.equal(headOf(withFields("Content-Length", "12")).bodyBytes, 12);
    assert.equal(headOf(withFields("Transfer-Encoding", "chunked")).bodyBytes, -1);
  });

  test("what Connection takes away, without the everyday words", () => {
    assert.deepEqual(headOf(withFields("Connection", "keep-alive")).connectionOptions, []);
    const { connectionOptions } = headOf(
      withFields("Connection", "close, X-A ,,", "Connection", "te"),
    );
    assert.deepEqual(connectionOptions, ["close", "x-a", "te"]);
  });

  test("cookies of all lines, and no trace context where there are two", () => {
    const { cookie, traceparent } = headOf(
      withFields("Cookie", "a=1", "cookie", "b=2", "traceparent", "x", "Traceparent", "y"),
    );
    assert.deepEqual([cookie, traceparent], ["a=1; b=2", ""]);
  });

  test("what a client expects, takes and proves", () => {
    const head = headOf(
      withFields("Expect", "100-Continue", "TE", "gzip, trailers", "Tidegate-CSRF", "1"),
    );
    assert.deepEqual(
      [head.expectsContinue, head.takesTrailers, head.hasCsrfField],
      [true, true, true],
    );
    const without = headOf(withFields("TE", "xtrailers", "Tidegate-CSRF", "true"));
    assert.deepEqual([without.takesTrailers, without.hasCsrfField], [false, false]);
    const old = { ...withFields("Expect", "100-continue"), httpVersion: "1.0" as const };
    assert.equal(headOf(old).expectsContinue, false);
  });
});

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { parseProxyHeader } from "./proxy-protocol.ts";

const SIGNATURE = Buffer.from("0d0a0d0a000d0a515549540a", "hex");

/** A header of version 2 as a balancer writes it. */
function binary(command: number, family: number, addresses: Buffer): Buffer {
  const head = Buffer.alloc(4);
  head[0] = command;
  head[1] = family;
  head.writeUInt16BE(addresses.length, 2);
  return Buffer.concat([SIGNATURE, head, addresses]);
}

const V4 = Buffer.from([192, 0, 2, 7, 10, 0, 0, 1, 0x1f, 0x90, 0, 80]);

test("parseProxyHeader() reads both versions, and what is behind the header is not its own", () => {
  const line = "PROXY TCP4 192.0.2.7 10.0.0.1 8080 80\r\n";
  assert.deepEqual(parseProxyHeader(Buffer.from(`${line}GET /`)), {
    kind: "header",
    lengthBytes: line.length,
    source: { address: "192.0.2.7", port: 8080 },
  });
  const tlv = Buffer.from([3, 0, 1, 9]);
  assert.deepEqual(parseProxyHeader(binary(0x21, 0x11, Buffer.concat([V4, tlv]))), {
    kind: "header",
    lengthBytes: 16 + 12 + 4,
    source: { address: "192.0.2.7", port: 8080 },
  });
  const v6 = Buffer.alloc(36);
  v6.writeUInt16BE(0x2001, 0);
  v6.writeUInt16BE(0x0db8, 2);
  v6.writeUInt16BE(443, 32);
  assert.deepEqual(parseProxyHeader(binary(0x21, 0x21, v6)), {
    kind: "header",
    lengthBytes: 52,
    source: { address: "2001:db8:0:0:0:0:0:0", port: 443 },
  });
});

test("parseProxyHeader() takes LOCAL and UNKNOWN for the balancer's own words", () => {
  for (const bytes of [binary(0x20, 0, Buffer.alloc(0)), Buffer.from("PROXY UNKNOWN\r\n")]) {
    const header = parseProxyHeader(bytes);
    assert.equal(header.kind, "header");
    assert.equal(header.kind === "header" && header.source, undefined);
  }
});

test("parseProxyHeader() refuses what is none, broken, or of another family", () => {
  const broken = [
    Buffer.from("GET / HTTP/1.1\r\n"),
    Buffer.from("PROXY TCP4 2001:db8::1 ::1 1 2\r\n"),
    Buffer.from("PROXY TCP4 192.0.2.7 10.0.0.1 99999 80\r\n"),
    Buffer.from("PROXY TCP4 192.0.2.7\r\n"),
    Buffer.from(`PROXY ${"x".repeat(200)}`),
    binary(0x31, 0x11, V4),
    binary(0x21, 0x12, V4),
    binary(0x21, 0x11, V4.subarray(0, 8)),
    Buffer.concat([SIGNATURE, Buffer.from([0x21, 0x11, 0xff, 0xff])]),
  ];
  for (const bytes of broken) assert.equal(parseProxyHeader(bytes).kind, "flaw", bytes.toString());
});

test("parseProxyHeader() waits for the rest wherever a header is cut", () => {
  const whole = fc.constantFrom(
    Buffer.from("PROXY TCP4 192.0.2.7 10.0.0.1 8080 80\r\n"),
    binary(0x21, 0x11, V4),
  );
  fc.assert(
    fc.property(whole, fc.nat(), (bytes, cut) => {
      const header = parseProxyHeader(bytes.subarray(0, cut % bytes.length));
      assert.equal(header.kind, "incomplete");
    }),
  );
});

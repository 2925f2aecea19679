import assert from "node:assert/strict";
import { test } from "node:test";
import { addressRange, hostName, isLoopback, listenHost } from "./address.ts";

test("isLoopback() believes addresses and one name", () => {
  for (const host of ["127.0.0.1", "127.255.0.9", "::1", "[::1]", "localhost"]) {
    assert.equal(isLoopback(host), true, host);
  }
  for (const host of [
    "0.0.0.0",
    "::",
    "127.1",
    "localhost.example",
    "127.0.0.1.example",
    "",
    "10.0.0.1",
  ]) {
    assert.equal(isLoopback(host), false, host);
  }
});

test("hosts and ranges take neither ports, schemes nor wildcards", () => {
  const hosts = ["a.example", "xn--bcher-kva.example", "10.0.0.1", "[::1]", "a"];
  for (const host of hosts) assert.equal(hostName.safeParse(host).success, true, host);
  const noHosts = [
    "A.example",
    "a.example:80",
    "*.example",
    "http://a",
    "::1",
    "a..b",
    "-a",
    "a_b",
    "",
  ];
  for (const host of [...noHosts, "x".repeat(64), `${"a.".repeat(130)}b`]) {
    assert.equal(hostName.safeParse(host).success, false, host);
  }
  for (const host of ["::", "::1", "0.0.0.0", "localhost"]) {
    assert.equal(listenHost.safeParse(host).success, true, host);
  }
  const ranges = ["10.0.0.0/8", "::/0", "fd00::/128", "192.0.2.1", "0.0.0.0/0"];
  for (const range of ranges) assert.equal(addressRange.safeParse(range).success, true, range);
  const noRanges = [
    "10.0.0.0/33",
    "::/129",
    "10.0.0.0/",
    "10.0.0.0/08",
    "10.0.0/8",
    "a/8",
    "fe80::1%eth0",
    "1.2.3.4/8/8",
    "10.0.0.0/-1",
  ];
  for (const range of noRanges) assert.equal(addressRange.safeParse(range).success, false, range);
});

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { readConfig } from "./config.ts";

const read = (variables: Record<string, string>) =>
  readConfig({ IDENTITY_DATA: "data", ...variables }, { workingFolder: "/srv" });

test("readConfig() has safe defaults and takes paths from the working folder", () => {
  const config = read({});
  assert.deepEqual(config.listen, { host: "127.0.0.1", port: 8081 });
  assert.equal(config.dataFolder, "/srv/data");
  assert.equal(config.publicUrl, undefined);
  assert.deepEqual(config.trustedProxies, []);
  assert.deepEqual(config.warnings, []);
  assert.equal(read({ IDENTITY_URL: "https://id.example/" }).publicUrl, "https://id.example");
  assert.deepEqual(read({ IDENTITY_TRUSTED_PROXIES: "192.0.2.0/24, ::1" }).trustedProxies, [
    "192.0.2.0/24",
    "::1",
  ]);
});

test("readConfig() refuses an issuer that is no origin or not encrypted, and hosts beyond loopback", () => {
  for (const url of [
    "https://id.example/path",
    "https://id.example?x",
    "https://u@id.example",
    "ftp://id.example",
    "id.example",
    "http://id.example",
    "http://192.0.2.1:8081",
  ]) {
    assert.throws(() => read({ IDENTITY_URL: url }), /IDENTITY_URL=/, url);
  }
  for (const url of [
    "http://localhost:8081",
    "http://127.0.0.1:1",
    "http://[::1]:1",
    "http://id.localhost:1",
  ]) {
    assert.equal(read({ IDENTITY_URL: url }).publicUrl, url);
  }
  assert.throws(() => read({ IDENTITY_HOST: "0.0.0.0" }), /not a loopback address/);
  const open = read({
    IDENTITY_HOST: "0.0.0.0",
    IDENTITY_DANGEROUSLY_LISTEN_BEYOND_LOOPBACK: "true",
  });
  assert.equal(open.warnings.length, 1);
  assert.throws(() => read({ IDENTITY_TRUSTED_PROXIES: "proxy.example" }), /neither an address/);
  assert.throws(() => read({ IDENTITY_PROT: "1" }), /IDENTITY_PROT is not known/);
});

test("docs/identity.md lists every variable that readConfig() knows, and no other", () => {
  const document = readFileSync(new URL("../../../docs/identity.md", import.meta.url), "utf8");
  const written = [...document.matchAll(/^\| `(IDENTITY_\w+)`/gm)].map(([, name]) => name);
  let known: string[] = [];
  try {
    read({ IDENTITY_UNKNOWN: "" });
  } catch (error) {
    const message = error instanceof Error ? error.message : "";
    known = /known are (.*)/.exec(message)?.[1]?.split(", ") ?? [];
  }
  assert.ok(known.length > 5);
  assert.deepEqual(written.sort(), known.sort());
});

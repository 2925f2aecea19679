import assert from "node:assert/strict";
import { test } from "node:test";
import { readConfig } from "./config.ts";

const NEEDED = { TASKS_DATABASE: "tasks.sqlite", TASKS_GATEWAY_URL: "http://localhost:8080/" };

test("readConfig() refuses to listen beyond loopback unless told so by name, and warns then", () => {
  for (const host of ["0.0.0.0", "::", "192.168.1.5", "example.com", "127.evil.example"]) {
    assert.throws(
      () => readConfig({ ...NEEDED, TASKS_HOST: host }),
      /TASKS_DANGEROUSLY_LISTEN_BEYOND_LOOPBACK/,
      host,
    );
  }
  const told = { TASKS_HOST: "0.0.0.0", TASKS_DANGEROUSLY_LISTEN_BEYOND_LOOPBACK: "true" };
  assert.deepEqual(readConfig({ ...NEEDED, ...told }).warnings, [
    "listening beyond loopback, on 0.0.0.0",
  ]);
  for (const host of ["127.0.0.1", "127.0.0.9", "::1", "localhost"]) {
    assert.deepEqual(readConfig({ ...NEEDED, TASKS_HOST: host }).warnings, []);
  }
});

test("readConfig() names every mistake in one message and repeats no value", () => {
  const bad = {
    TASKS_PORT: "70000",
    TASKS_GATEWAY_URL: "localhost:8080",
    TASKS_LOG_LEVEL: "loud",
    TASKS_DATABSE: "/nowhere/secret",
  };
  assert.throws(
    () => readConfig(bad),
    (error: Error) => {
      const expected = [
        ...Object.keys(bad),
        "TASKS_DATABASE is missing",
        "TASKS_DATABSE is not known",
      ];
      for (const name of expected) assert.ok(error.message.includes(name), error.message);
      assert.ok(!/secret|loud|70000/.test(error.message));
      return true;
    },
  );
});

test("readConfig() finds the gateway's keys below its address, or where it is told", () => {
  const { gateway } = readConfig(NEEDED);
  assert.equal(gateway.publicUrl, "http://localhost:8080");
  assert.equal(gateway.jwksUrl.href, "http://localhost:8080/.tidegate/jwks.json");
  const told = readConfig({ ...NEEDED, TASKS_JWKS_URL: "http://127.0.0.1:1/keys" });
  assert.equal(told.gateway.jwksUrl.href, "http://127.0.0.1:1/keys");
});

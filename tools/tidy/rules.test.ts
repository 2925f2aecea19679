// Every rule catches a bad sample and lets a good one pass: a rule that cannot fail is a defect.

import assert from "node:assert/strict";
import { test } from "node:test";
import { contentFindings } from "./contents.ts";
import { deadFileFindings } from "./dead-files.ts";
import { layerFindings } from "./layers.ts";
import { lockfileFindings, manifestFindings } from "./lockfile.ts";
import { nameFindings } from "./names.ts";
import { sizeFindings } from "./sizes.ts";
import { withoutComments, type SourceFile } from "./source-file.ts";

const file = (path: string, text = ""): SourceFile => ({ path, text });
const APPS = [file("apps/gateway/src/index.ts"), file("apps/tasks/src/index.ts")];

function imports(path: string, specifier: string): string[] {
  return layerFindings([...APPS, file(path, `import { x } from "${specifier}";`)]);
}

test("layerFindings() refuses every import against the direction", () => {
  const bad = [
    ["apps/gateway/src/a.ts", "@tidegate/tasks"],
    ["apps/tasks/src/a.ts", "tidegate"],
    ["apps/tasks/test/a.test.ts", "tidegate"],
    ["apps/gateway/src/a.ts", "../../tasks/src/task.ts"],
    ["apps/gateway/src/a.ts", "../../../packages/wire/src/index.ts"],
    ["apps/gateway/src/a.ts", "@tidegate/wire/src/frame.ts"],
    ["apps/gateway/src/a.ts", "@tidegate/limits/src/adapters/ws.ts"],
    ["apps/gateway/src/a.ts", "@tidegate/wire/fastify"],
    ["packages/wire/src/a.ts", "@tidegate/limits/fastify"],
    ["apps/gateway/src/a.ts", "@tidegate/testkit"],
    ["packages/wire/src/a.ts", "tidegate"],
    ["packages/wire/src/a.ts", "@tidegate/auth"],
    ["packages/clock/src/a.ts", "@tidegate/auth"],
    ["packages/auth/src/a.ts", "@tidegate/service-kit"],
    ["packages/wire/src/a.ts", "@tidegate/testkit"],
  ] as const;
  for (const [path, specifier] of bad) {
    assert.equal(imports(path, specifier).length, 1, `${path} imports ${specifier}`);
  }
});

test("layerFindings() lets through what the layers allow", () => {
  const good = [
    ["apps/gateway/src/a.ts", "@tidegate/wire"],
    ["apps/gateway/src/a/b.ts", "../c.ts"],
    ["apps/gateway/test/a.test.ts", "tidegate"],
    ["apps/gateway/test/a.test.ts", "@tidegate/testkit"],
    ["packages/wire/src/a.ts", "@tidegate/clock"],
    ["packages/wire/src/a.test.ts", "@tidegate/testkit"],
    ["packages/service-kit/src/a.ts", "@tidegate/auth"],
    ["tools/start/a.ts", "tidegate"],
    ["bench/x/main.ts", "@tidegate/limits"],
    ["apps/tasks/src/a.ts", "@tidegate/limits/fastify"],
    ["packages/limits/examples/a.ts", "@tidegate/limits/socket.io"],
  ] as const;
  for (const [path, specifier] of good) assert.deepEqual(imports(path, specifier), [], path);
});

test("layerFindings() sees exports, dynamic and bare imports, and no comments", () => {
  for (const text of [
    'export * from "tidegate";',
    'const x = await import("tidegate");',
    'import "tidegate";',
    'import {\n  a,\n  b,\n} from "tidegate";',
  ]) {
    assert.equal(layerFindings([...APPS, file("packages/wire/src/a.ts", text)]).length, 1, text);
  }
  const comment = file("packages/wire/src/a.ts", '// import "tidegate"\n/* from "tidegate" */');
  assert.deepEqual(layerFindings([...APPS, comment]), []);
});

test("withoutComments() leaves strings, templates and regular expressions whole", () => {
  assert.equal(withoutComments('const a = "http://x"; // gone'), 'const a = "http://x"; ');
  assert.equal(withoutComments("const a = `//${b}`; /* x\n */ c"), "const a = `//${b}`; \n c");
  assert.equal(
    withoutComments("const a = /[/]\\/\\//.test(b); // gone"),
    "const a = /[/]\\/\\//.test(b); ",
  );
});

test("nameFindings() refuses vague, camelCase and unfindable names", () => {
  for (const path of [
    "apps/a/src/utils.ts",
    "packages/common/src/x.ts",
    "a/helpers/x.ts",
    "a/myFile.ts",
    "a/x.spec.ts",
  ]) {
    assert.ok(nameFindings([file(path)]).length > 0, path);
  }
  const hidden = 'import { test } from "node:test";\ntest("x", () => {});';
  assert.equal(nameFindings([file("a/x.ts", hidden)]).length, 1);
  assert.equal(nameFindings([file("a/x.test.ts", "test.only('x')")]).length, 1);
  for (const path of [
    "a/close-code.ts",
    "a/x.test.ts",
    "a/x.long.test.ts",
    "README.md",
    "decisions/001-runtime.md",
  ]) {
    assert.deepEqual(nameFindings([file(path)]), [], path);
  }
});

test("sizeFindings() wants a reason past 400 lines and takes none past 600", () => {
  const reason = "// Longer than 400 lines: one state machine, read from top to bottom\n";
  assert.deepEqual(sizeFindings([file("a.ts", "\n".repeat(400))]), []);
  assert.equal(sizeFindings([file("a.ts", "\n".repeat(401))]).length, 1);
  assert.deepEqual(sizeFindings([file("a.ts", reason + "\n".repeat(500))]), []);
  assert.equal(sizeFindings([file("a.ts", reason + "\n".repeat(600))]).length, 1);
});

test("contentFindings() refuses what belongs to one machine", () => {
  // Put together here, or the rule would find this file.
  const [slash, dot] = ["/", "."];
  for (const text of [
    `${slash}home${slash}me`,
    `${slash}root${slash}x`,
    `registry${dot}npmjs.org`,
    `http://10${dot}0.0.7:80`,
  ]) {
    assert.equal(contentFindings([file("a.ts", `// ${text}`)]).length, 1, text);
  }
});

test("contentFindings() refuses time and environment outside adapters, and lets comments and tests speak of them", () => {
  for (const code of [
    "Date.now()",
    "new Date()",
    "Math.random()",
    "setTimeout(f, 1)",
    "process.env.X",
  ]) {
    assert.equal(contentFindings([file("apps/a/src/x.ts", code)]).length, 1, code);
    assert.deepEqual(contentFindings([file("apps/a/src/x.ts", `// ${code}`)]), [], code);
    for (const path of [
      "apps/a/src/main.ts",
      "apps/a/src/x.test.ts",
      "packages/clock/src/random.ts",
    ]) {
      assert.deepEqual(contentFindings([file(path, code)]), [], path);
    }
  }
  assert.deepEqual(
    contentFindings([file("apps/a/src/x.ts", "socket.setTimeout(0); new Date(1)")]),
    [],
  );
});

test("contentFindings() wants exactly one title outside code blocks", () => {
  assert.deepEqual(
    contentFindings([file("a.md", "# One\n\n```sh\n# not a title\n```\n## Two\n")]),
    [],
  );
  assert.equal(contentFindings([file("a.md", "# One\n# Two\n")]).length, 1);
  assert.equal(contentFindings([file("a.md", "## Two\n")]).length, 1);
});

test("deadFileFindings() finds what nothing reaches", () => {
  const alive = file("apps/a/src/used.ts");
  const dead = file("apps/a/src/forgotten.ts");
  const main = file("apps/a/src/main.ts", 'import "./used.ts";');
  assert.deepEqual(deadFileFindings([alive, dead, main]), [
    "apps/a/src/forgotten.ts: nothing imports it, starts it or names it",
  ]);
});

test("lockfileFindings() finds missing platforms, checksums and addresses", () => {
  const locked = (packages: object): string[] => lockfileFindings(JSON.stringify({ packages }));
  const tool = {
    version: "1.0.0",
    integrity: "x",
    optionalDependencies: { "tool-arm64": "1.0.0" },
  };
  assert.deepEqual(locked({ "node_modules/tool": tool }), [
    "package-lock.json: node_modules/tool lacks tool-arm64",
  ]);
  const variant = { version: "1.0.0", integrity: "x" };
  assert.deepEqual(locked({ "node_modules/tool": tool, "node_modules/tool-arm64": variant }), []);
  assert.equal(locked({ "node_modules/a": { version: "1.0.0" } }).length, 1);
  assert.equal(locked({ "node_modules/a": { integrity: "x", resolved: "https://x" } }).length, 1);
});

test("manifestFindings() refuses ranges", () => {
  for (const version of ["^1.0.0", "~1.0.0", "*", "latest", ">=1"]) {
    const text = JSON.stringify({ dependencies: { a: version } });
    assert.equal(manifestFindings(file("package.json", text)).length, 1, version);
  }
  const exact = JSON.stringify({ devDependencies: { a: "1.0.0", b: "7.0.0-beta.1" } });
  assert.deepEqual(manifestFindings(file("package.json", exact)), []);
});

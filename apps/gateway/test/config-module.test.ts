import assert from "node:assert/strict";
import { mkdir, mkdtempDisposable, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { ConfigError } from "../src/config/config-error.ts";
import { findConfigFile } from "../src/config/find-config-file.ts";
import { loadConfig, validateConfig } from "../src/config/load-config.ts";

// Configurations that are modules, in a folder outside the checkout with no node_modules.

const route = `{ path: "/**", to: "shop", auth: "none" }`;
const module = (listen: string): string => `
  import { defineGateway } from "tidegate";
  const port: number = 8081;
  export default defineGateway({
    ${listen}
    upstreams: { shop: { targets: ["http://127.0.0.1:4100"] } },
    routes: [${route}],
  });`;

const write = async (text: string, name = "tidegate.config.ts") => {
  const folder = await mkdtempDisposable(join(tmpdir(), "tidegate-module-"));
  const file = join(folder.path, name);
  await writeFile(file, text);
  return { folder: folder.path, file, [Symbol.asyncDispose]: () => folder.remove() };
};
const load = (file: string) => loadConfig(file, { environment: {} });

async function refusal(promise: Promise<unknown>): Promise<ConfigError> {
  const error = await promise.then(
    () => assert.fail("was accepted"),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof ConfigError, String(error));
  return error;
}

describe("loadConfig() of a module", () => {
  test("maps the import `tidegate` to this gateway and resolves files against its folder", async () => {
    await using config = await write(module("listen: { port },"));
    const loaded = await load(config.file);
    assert.equal(loaded.config.listen.port, 8081);
    assert.equal(loaded.config.dataFolder, join(config.folder, ".tidegate"));
    assert.throws(() => Object.assign(loaded.config.listen, { port: 1 }), TypeError);
  });

  test("runs a file again when it changed", async () => {
    await using config = await write(module("listen: { port: 1 },"));
    assert.equal((await load(config.file)).config.listen.port, 1);
    await writeFile(config.file, module("listen: { port: 2 },"));
    assert.equal((await load(config.file)).config.listen.port, 2);
  });

  test("runs a file again when a module that it imports changed, and only then", async () => {
    for (const [name, first, second] of [
      ["port.ts", "export default 1;", "export default 2;"],
      ["port.cjs", "module.exports = 1;", "module.exports = 2;"],
      ["port.json", "1", "2"],
    ] as const) {
      const json = name.endsWith("json") ? ' with { type: "json" }' : "";
      await using config = await write(
        `import port from "./${name}"${json};${module("listen: { port: port as number },").replace(/const port.*/, "")}`,
      );
      const file = join(config.folder, name);
      await writeFile(file, first);
      const { routes, listen } = (await load(config.file)).config;
      assert.equal(listen.port, 1, name);
      assert.deepEqual((await load(config.file)).config.routes, routes);
      await writeFile(file, second);
      assert.equal((await load(config.file)).config.listen.port, 2, name);
    }
  });

  test("takes plain JavaScript, and a folder whose package.json says CommonJS", async () => {
    const text = module("").replace(": number", "");
    await using config = await write(text, "tidegate.config.mjs");
    await writeFile(join(config.folder, "package.json"), '{ "type": "commonjs" }');
    assert.equal((await load(config.file)).config.routes.length, 1);
    const typed = join(config.folder, "tidegate.config.ts");
    await writeFile(typed, module(""));
    assert.equal((await load(typed)).config.routes.length, 1);
  });

  test("says where a syntax error is, and what type stripping cannot do", async () => {
    await using broken = await write("import 'tidegate';\nexport default {,};");
    const first = await refusal(load(broken.file));
    assert.equal(first.mistakes[0]?.position?.line, 2);
    await using enumerated = await write("enum Colour { red }\nexport default {};");
    assert.match((await refusal(load(enumerated.file))).message, /enum is not supported/);
  });

  test("says why a module failed, and that one has no default export", async () => {
    await using thrown = await write("\n\nthrow new Error('PAY_KEY is not set\\nin production');");
    const error = await refusal(load(thrown.file));
    assert.match(error.message, /line 3, .*\n {2}failed while it was loaded: PAY_KEY is not set$/);
    await using silent = await write("export const config = {};");
    assert.match((await refusal(load(silent.file))).message, /no default export/);
    await using lost = await write("import 'tidegatee';");
    assert.match((await refusal(load(lost.file))).message, /Cannot find package 'tidegatee'/);
  });

  test("lists every mistake by path, whatever the default export is", async () => {
    await using wrong = await write(module("listen: { port: 70000, hosst: 1 } as never,"));
    const error = await refusal(load(wrong.file));
    assert.deepEqual(
      error.mistakes.map(({ path }) => path.join(".")),
      ["listen.port", "listen.hosst"],
    );
    for (const value of ["null", "5", "'x'", "[]", "() => 1", "new Date()"]) {
      await using odd = await write(`export default ${value};`);
      assert.equal((await refusal(load(odd.file))).mistakes.length > 0, true);
    }
  });

  test("is not fooled by values that refer to themselves", () => {
    const loop: Record<string, unknown> = { routes: [{ path: "/", to: "shop", auth: "none" }] };
    loop["upstreams"] = loop;
    assert.throws(() => validateConfig(loop, { folder: "/" }), ConfigError);
  });

  test("refuses what cannot be read", async () => {
    await using config = await write("", "tidegate.config.yaml");
    assert.match((await refusal(load(config.file))).message, /is empty/);
    for (const name of ["none.yaml", "none.ts", "none.json"]) {
      const error = await refusal(load(join(config.folder, name)));
      assert.match(error.message, /cannot be read: ENOENT/);
    }
    const folder = join(config.folder, "folder.json");
    await mkdir(folder);
    assert.match((await refusal(load(folder))).message, /it is not a file/);
    await writeFile(config.file, " ".repeat(1_048_577));
    assert.match((await refusal(load(config.file))).message, /larger than 1048576 bytes/);
  });
});

describe("findConfigFile()", () => {
  test("finds the one configuration of a folder, and refuses none and two", async () => {
    await using config = await write("{}", "notes.txt");
    const { folder } = config;
    assert.match((await refusal(findConfigFile(undefined, folder))).message, /tidegate init/);
    await writeFile(join(folder, "tidegate.config.json"), "{}");
    assert.equal(await findConfigFile(undefined, folder), join(folder, "tidegate.config.json"));
    assert.equal(await findConfigFile(folder, "/"), join(folder, "tidegate.config.json"));
    assert.equal(await findConfigFile("notes.txt", folder), join(folder, "notes.txt"));
    await writeFile(join(folder, "tidegate.config.yaml"), "");
    assert.match((await refusal(findConfigFile(undefined, folder))).message, /several/);
    assert.match((await refusal(findConfigFile("x.ts", folder))).message, /ENOENT/);
  });
});

import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import { describe, test } from "node:test";
import { Ajv2020 } from "ajv/dist/2020.js";
import { parse } from "yaml";
import { PAGES } from "../scripts/pages.ts";
import { FAULTS } from "../src/fault.ts";
import { faultProblem, refusalProblem } from "../src/forward/problem.ts";
import { REASONS } from "../src/judge/reason.ts";
import { configNotes, isNote, keysOf, type SchemaNote } from "../src/config/schema-notes.ts";
import { validateConfig } from "../src/config/load-config.ts";

const docs = new URL("../../../docs/", import.meta.url);
const page = (name: string) => readFile(new URL(name, docs), "utf8");

describe("the generated pages", () => {
  for (const { url, render } of PAGES) {
    const name = url.pathname.split("/").at(-1) ?? "";
    test(`${name} is what \`node apps/gateway/scripts/write-docs.ts\` writes`, async () => {
      assert.equal(await readFile(url, "utf8"), render());
    });
  }
});

describe("docs/config.md", () => {
  test("has every key of the schema, each with a line, and no other key", async () => {
    const rows = (await page("config.md")).matchAll(/^\| `(\w+)` \|.*\| (.*) \|$/gm);
    const documented = new Set<string>();
    for (const [, key = "", line = ""] of rows) {
      documented.add(key);
      assert.ok(line.length > 5, `${key} has no line`);
    }
    const known = new Set(allKeys(configNotes));
    assert.ok(known.size > 60, "the schema was seen");
    assert.deepEqual(documented, known);
  });

  test("shows configurations that are right", async () => {
    const blocks = (await page("config.md")).matchAll(/```yaml\n([\s\S]*?)```/g);
    let count = 0;
    for (const [, text = ""] of blocks) {
      const { warnings } = validateConfig(parse(text), { folder: "/" });
      assert.deepEqual(warnings, []);
      count += 1;
    }
    assert.equal(count, 1);
  });
});

describe("docs/errors.md", () => {
  test("has a heading for every type that an answer can have, and no other", async () => {
    const text = await page("errors.md");
    const headings = new Set([...text.matchAll(/^## (.+)$/gm)].map(([, name]) => name));
    const typeOf = (body: string): string => JSON.parse(body).type.slice("#".length);
    const options = { typeBase: "#", requestId: "r" };
    const refusals = Object.entries(REASONS).filter(([name]) => name !== "none");
    const types = new Set([
      ...refusals.map(([, kind]) => typeOf(refusalProblem(kind, options).body)),
      ...Object.keys(FAULTS).map((name) =>
        typeOf(faultProblem(name as keyof typeof FAULTS, options).body),
      ),
    ]);
    assert.deepEqual(headings, types);
    // What a browser makes an anchor of is the heading itself.
    for (const heading of headings) assert.match(heading ?? "", /^[a-z0-9-]+$/);
  });

  test("has the status and close code of every refusal and fault", async () => {
    const text = await page("errors.md");
    for (const { title, status, closeCode, name } of Object.values(REASONS)) {
      if (name === "none") continue;
      assert.ok(text.includes(`**${title}** (HTTP ${status}; close code ${closeCode} `), title);
    }
    for (const { title, status, closeCode } of Object.values(FAULTS)) {
      assert.ok(text.includes(`**${title}** (HTTP ${status}; close code ${closeCode};`), title);
    }
  });
});

describe("docs/tidegate.schema.json", () => {
  test("takes the golden configurations that are right and refuses those that are not", async () => {
    const schema: object = JSON.parse(await page("tidegate.schema.json"));
    const validate = new Ajv2020({ strict: false, validateFormats: false }).compile(schema);
    const folder = new URL("../golden/config/", import.meta.url);
    const files = await readdir(folder);
    assert.ok(files.length >= 4);
    for (const file of files) {
      const golden = await readFile(new URL(file, folder), "utf8");
      const [input = "", expected = ""] = golden.split("==== expected ====\n");
      const isRight = !expected.startsWith("Cannot use");
      assert.equal(validate(parse(input)), isRight, `${file}: ${JSON.stringify(validate.errors)}`);
    }
  });
});

function allKeys(note: SchemaNote): string[] {
  const inner = [
    note.items,
    note.additionalProperties,
    ...(note.oneOf ?? []),
    ...(note.anyOf ?? []),
  ];
  return [
    ...keysOf(note),
    ...Object.values(note.properties ?? {})
      .filter(isNote)
      .flatMap(allKeys),
    ...inner.flat().filter(isNote).flatMap(allKeys),
  ];
}

import { CONFIG_FILE_NAMES } from "../src/config/find-config-file.ts";
import {
  allowedText,
  configNotes,
  isNote,
  keysOf,
  type SchemaNote,
} from "../src/config/schema-notes.ts";

/** `docs/config.md`: every key of the configuration, from the schema. */
export function configPage(): string {
  return `${[...INTRODUCTION, ...sections(configNotes, []).flatMap(renderSection)].join("\n").trimEnd()}\n`;
}

const INTRODUCTION = [
  "# Configuration",
  "",
  "One file says everything. `tidegate init` writes one to start from, `tidegate check` validates one, `tidegate start`",
  `runs one; without a name they take the only one of these in the working folder: ${CONFIG_FILE_NAMES.map((name) => `\`${name}\``).join(", ")}.`,
  "All languages have the same keys. File paths are relative to the folder of the file. Unknown keys are mistakes, and",
  "every mistake is told at once, with its place, the reason, and what is allowed.",
  "",
  "```ts",
  'import { bucket, defineGateway, perMinute, usersFile } from "tidegate";',
  "",
  "export default defineGateway({",
  "  listen: { port: 8080 },",
  '  identity: { people: usersFile({ file: "users.json" }) },',
  '  upstreams: { tasks: { targets: ["http://127.0.0.1:4101"] } },',
  "  routes: [",
  "    {",
  '      path: "/tasks/**",',
  '      to: "tasks",',
  '      auth: { by: ["people"] },',
  "      limits: [bucket({ rate: perMinute(600), burst: 200 })],",
  "    },",
  "  ],",
  "});",
  "```",
  "",
  "The same in YAML. The first line makes editors complete and check it (in JSON: a top-level `$schema`);",
  "`tidegate.schema.json` is beside this page.",
  "",
  "```yaml",
  "# yaml-language-server: $schema=./docs/tidegate.schema.json",
  "listen: { port: 8080 }",
  "identity:",
  "  people: { kind: users-file, file: users.json }",
  "upstreams:",
  "  tasks: { targets: [http://127.0.0.1:4101] }",
  "routes:",
  "  - path: /tasks/**",
  "    to: tasks",
  "    auth: { by: [people] }",
  "    limits:",
  "      - { kind: bucket, rate: { count: 600, seconds: 60 }, burst: 200 }",
  "```",
  "",
  "**Environment.** In YAML and JSON, `${NAME}` in a text is replaced by the environment variable, which must be set;",
  "`${NAME:-default}` has a default for when it is unset or empty; `$${` stands for `${`. Where a number or a truth value",
  "is wanted, the text may become one: `port: ${PORT:-8080}`. Inside `{ }` of YAML, quote it. What came from the",
  "environment is never printed. In TypeScript and JavaScript, use `process.env`.",
  "",
  "**Helpers** of the module `tidegate`: `defineGateway` types the whole; `oidc`, `usersFile`, `apiKeys` and, for [known providers](providers/README.md), `auth0`, `google`, `keycloak`, `okta` and `embedded` make issuers; `bucket` and",
  '`window` make limits, also inside a socket\'s (`{ class: "text", ...bucket({ … }), exceed: "delay" }`); `perSecond`,',
  "`perMinute` and `perHour` make rates.",
  "",
  "**Functions.** In TypeScript and JavaScript, `per` of a limit may be a function: callers for whom it gives the same text",
  "share the limit.",
  "",
  "```ts",
  'import { bucket, defineGateway, perMinute, type Caller } from "tidegate";',
  "",
  'const tenant = (caller: Caller): string => caller.subject.split("@")[1] ?? "";',
  "",
  "export default defineGateway({",
  '  upstreams: { tasks: { targets: ["http://127.0.0.1:4101"] } },',
  "  routes: [",
  "    {",
  '      path: "/tasks/**",',
  '      to: "tasks",',
  '      auth: "none",',
  "      limits: [bucket({ rate: perMinute(600), burst: 200, per: tenant })],",
  "    },",
  "  ],",
  "});",
  "```",
  "",
  "It is called once for each request and each socket, after identification, and must answer at once: no promise. It sees",
  "who proved to be calling (`kind`, `issuer`, `subject`, `client`, `scopes`, `acr`, `sessionId`), where from (`address`,",
  "`network`), the `route`, and what the caller wrote (`method`, `host`, `path`, `field(name)`), which anybody can write.",
  "Only a hash of the first 1,024 characters is kept. When it throws, or gives something else than text, the call gets 500,",
  "the event `function.failed` is logged, and nothing is admitted. Limits with a function never lead to a penalty: only",
  "limits that one caller alone can use up do.",
  "",
  "Each worker thread runs the configuration for itself, so a function must not count or remember anything. What the threads",
  "run is the text that the main thread ran and checked: the file, and every module that it imports by a path, directly or",
  "through others, outside `node_modules`. A file that is edited meanwhile changes nothing before the gateway loads it again.",
  "A thread that would run other modules than the main thread did (an import that depends on the thread) does not start.",
  "Packages, modules that a CommonJS module requires, and files that are read are not covered. A program that calls",
  "`createGateway` with functions must have loaded them from a file with `loadConfig`, or serve with `threads: 0`.",
  "",
  "**What is checked beside the keys below**: names under `to` and `by` exist; no two routes answer the same at one place;",
  "names of limits differ where they meet; the admin listener stays on loopback unless a key with an alarming name says",
  "otherwise; `drop` is not for control frames. What can be used but is probably not meant is a warning.",
  "",
];

interface Section {
  readonly title: string;
  readonly note: SchemaNote;
  /** Names the alternative, where there are several kinds. */
  readonly kind: string | undefined;
}

/** The objects of the schema, outermost first. A part that stands in several places is described in each. */
function sections(note: SchemaNote, path: readonly string[]): Section[] {
  if (note.type === "array") {
    return isNote(note.items)
      ? sections(note.items, [...path.slice(0, -1), `${path.at(-1)}[]`])
      : [];
  }
  const choices = (note.oneOf ?? note.anyOf)?.filter(isNote);
  if (choices !== undefined) {
    return choices.filter(({ type }) => type === "object").flatMap((one) => sections(one, path));
  }
  if (note.type !== "object") return [];
  if (isNote(note.additionalProperties)) {
    return sections(note.additionalProperties, [...path, "<name>"]);
  }
  const kind = note.properties?.["kind"];
  const own: Section = {
    title: path.join("."),
    note,
    kind: isNote(kind) && typeof kind.const === "string" ? kind.const : undefined,
  };
  const inner = keysOf(note).flatMap((key) => {
    const part = note.properties?.[key];
    return isNote(part) ? sections(part, [...path, key]) : [];
  });
  return [own, ...inner];
}

function renderSection({ title, note, kind }: Section): string[] {
  const heading =
    title === "" ? "## The whole" : `## \`${title}\`${kind === undefined ? "" : ` (${kind})`}`;
  const kindNote = note.properties?.["kind"];
  const description = (isNote(kindNote) && kindNote.description) || note.description;
  const rows = keysOf(note).flatMap((key) => {
    const part = note.properties?.[key];
    return isNote(part) ? [row(key, part, note.required?.includes(key) === true)] : [];
  });
  return [
    heading,
    "",
    ...(description === undefined ? [] : [description, ""]),
    "| key | what | allowed | unit | default | meaning |",
    "| --- | --- | --- | --- | --- | --- |",
    ...rows,
    "",
  ];
}

function row(key: string, note: SchemaNote, isRequired: boolean): string {
  const cells = [
    `\`${key}\``,
    typeText(note),
    rangeText(note),
    unitOf(note),
    defaultText(note, isRequired),
    note.description ?? "",
  ];
  return `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
}

function typeText(note: SchemaNote): string {
  if (note.type === "array") return isNote(note.items) ? `list of ${typeText(note.items)}` : "list";
  const choices = (note.oneOf ?? note.anyOf)?.filter(isNote);
  if (choices !== undefined) return [...new Set(choices.map(typeText))].join(" or ");
  if (note.const !== undefined) return `\`${JSON.stringify(note.const)}\``;
  if (note["isFunction"] === true) return "function";
  if (note.type === "object")
    return isNote(note.additionalProperties) ? "objects by name" : "object";
  const names: Readonly<Record<string, string>> = {
    integer: "whole number",
    string: "text",
    boolean: "true, false",
  };
  const type = String(note.type);
  return names[type] ?? type;
}

/** What is allowed beyond the type. */
function rangeText(note: SchemaNote): string {
  if (note.type === "array" && isNote(note.items)) {
    const least = note.minItems === undefined ? "" : `at least ${note.minItems}`;
    return [least, rangeText(note.items)].filter((text) => text !== "").join("; ");
  }
  if (typeof note["rule"] === "string") return note["rule"];
  if (note.enum !== undefined) return allowedText(note);
  const first = (note.oneOf ?? note.anyOf)?.find(isNote);
  if (first?.enum !== undefined) return allowedText(first);
  if (note.type === "integer" || note.type === "number")
    return `${note.minimum} to ${note.maximum}`;
  return note.minLength === 1 ? "not empty" : "";
}

const unitOf = (note: SchemaNote): string => (typeof note["unit"] === "string" ? note["unit"] : "");

function defaultText(note: SchemaNote, isRequired: boolean): string {
  if (isRequired) return "**required**";
  const { default: byDefault } = note;
  // Where the schema rewrites what was written, it does not tell its default; those are all empty.
  const isEmpty = Array.isArray(byDefault) ? byDefault.length === 0 : byDefault === undefined;
  if (note.type === "array" && isEmpty) return "none";
  if (isNote(note.additionalProperties)) return "none";
  if (byDefault === undefined) return "";
  return note.type === "object" ? "its defaults" : `\`${JSON.stringify(byDefault)}\``;
}

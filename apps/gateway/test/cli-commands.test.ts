import assert from "node:assert/strict";
import { readdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, test } from "node:test";
import { parseUsersFile, verifyPassword } from "@tidegate/auth";
import { COMMAND_NAMES } from "../src/cli/commands.ts";
import { loadConfig } from "../src/config/load-config.ts";
import { folderWith, tidegate } from "./cli-process.ts";

// The commands as a shell sees them: text, JSON, exit codes.

describe("tidegate", () => {
  test("teaches with --help, and tells wrong usage apart from failure", async () => {
    await using folder = await folderWith({});
    const cwd = folder.path;
    const general = await tidegate(["--help"], { cwd });
    assert.equal(general.code, 0);
    for (const name of COMMAND_NAMES) assert.match(general.out, new RegExp(`^ {2}${name} `, "m"));
    assert.match((await tidegate(["check", "-h"], { cwd })).out, /^Usage: tidegate check \[file\]/);

    const wrong = [
      ["chekc"],
      ["help", "chekc"],
      ["check", "--jsno"],
      ["check", "a", "b"],
      ["version", "--json=yes"],
      ["keys", "rotate", "x.json", "billing", "--scopes", "a"],
      ["users", "add"],
      ["users", "ad", "x.json", "ada"],
      ["users", "list", "x.json", "ada"],
      ["users", "remove", "x.json", "ada", "--generate"],
    ];
    const ends = await Promise.all(wrong.map((words) => tidegate(words, { cwd })));
    for (const [position, { code, err, out }] of ends.entries()) {
      assert.equal(code, 2, wrong[position]?.join(" ") ?? "");
      assert.match(err, /^tidegate: /);
      assert.equal(out, "");
    }
    assert.match(ends[0]?.err ?? "", /did you mean `check`\?/);
    assert.match(ends[2]?.err ?? "", /did you mean `--json`\?/);
    assert.equal((await tidegate(["check"], { cwd })).code, 1);
    assert.deepEqual(await readdir(cwd), []);
  });

  test("runs through its plain JavaScript door as well", async () => {
    const door = fileURLToPath(new URL("../bin/tidegate.js", import.meta.url));
    const words = ["version", "--json"];
    const { code, out } = await tidegate(words, { cwd: "/", program: [process.execPath, door] });
    assert.equal(code, 0);
    assert.equal(JSON.parse(out).node, process.versions.node);
  });
});

describe("tidegate init", () => {
  test("writes a configuration without a mistake or a doubt, and overwrites none", async () => {
    await using folder = await folderWith({});
    const made = await tidegate(["init", "new/shop", "--json"], { cwd: folder.path });
    assert.equal(made.code, 0);
    const { file } = JSON.parse(made.out);
    assert.deepEqual((await loadConfig(file, { environment: {} })).warnings, []);
    await writeFile(file, "mine");
    const again = await tidegate(["init"], { cwd: join(folder.path, "new/shop") });
    assert.equal(again.code, 1);
    assert.equal(await readFile(file, "utf8"), "mine");
  });

  test("writes none beside one of another language", async () => {
    await using folder = await folderWith({ "tidegate.config.yaml": "" });
    assert.equal((await tidegate(["init"], { cwd: folder.path })).code, 1);
    assert.deepEqual(await readdir(folder.path), ["tidegate.config.yaml"]);
  });
});

describe("tidegate check", () => {
  const good = `
identity: { staff: { kind: users-file, file: users.json } }
upstreams: { shop: { targets: ["http://127.0.0.1:4100"] } }
routes:
  - { path: /orders/**, methods: [GET, POST], to: shop, auth: { by: [staff], scopes: [orders] } }
  - { path: /live, to: shop, auth: { by: [staff] }, websocket: {} }
`;

  test("shows routes and doubts of a configuration that is right", async () => {
    await using folder = await folderWith({ "tidegate.config.yml": good });
    const { code, out, err } = await tidegate(["check"], { cwd: folder.path });
    assert.equal(code, 0);
    assert.match(
      out,
      /routes\[0\] {2}\/orders\/\*\* {2}GET POST {3}→ shop {2}staff, with scope orders/,
    );
    assert.match(out, /routes\[1\] {2}\/live {7}WebSocket/);
    assert.match(err, /^\nwarning: identity\.staff\.file = ".*users\.json"\n.*users add/);
  });

  test("says the same to scripts", async () => {
    await using folder = await folderWith({ "a.yaml": good, "b.yaml": "listen: { port: 1.5 }" });
    const cwd = folder.path;
    const right = await tidegate(["check", "a.yaml", "--json"], { cwd });
    const shown = JSON.parse(right.out);
    assert.deepEqual([right.code, shown.ok, shown.routes.length], [0, true, 2]);
    assert.deepEqual(shown.warnings[0].path, ["identity", "staff", "file"]);
    const wrong = await tidegate(["check", "--json", "b.yaml"], { cwd });
    const told = JSON.parse(wrong.out);
    assert.deepEqual([wrong.code, told.ok, wrong.err], [1, false, ""]);
    assert.deepEqual(
      told.mistakes.map(({ path, position }: { path: string[]; position: unknown }) => [
        path.join("."),
        position,
      ]),
      [
        ["routes", { line: 1, column: 1 }],
        ["listen.port", { line: 1, column: 17 }],
      ],
    );
  });

  test("reads the environment into YAML and never prints what came from it", async () => {
    const text = good.replace("http://127.0.0.1:4100", "${TARGET}");
    await using folder = await folderWith({ "a.yaml": text });
    process.env["TARGET"] = "http://user:hunter2@x/";
    try {
      const { code, err } = await tidegate(["check", "a.yaml"], { cwd: folder.path });
      assert.equal(code, 1);
      assert.match(err, /upstreams\.shop\.targets\[0\] = "\$\{TARGET\}"/);
      assert.doesNotMatch(err, /hunter2/);
    } finally {
      delete process.env["TARGET"];
    }
  });
});

describe("tidegate keys", () => {
  test("adds a key that is printed once, lists it, rotates, disables and removes it", async () => {
    await using folder = await folderWith({});
    const cwd = folder.path;
    const run = (...words: string[]) => tidegate(["keys", ...words], { cwd });
    const added = await run("add", "k.json", "billing", "--scopes", "a b", "--expires", "90d");
    assert.equal(added.code, 0, added.err);
    const key = added.out.trim();
    assert.match(key, /^tgk_[a-z0-9]{14}_[A-Za-z0-9]{38}$/);
    assert.match(added.err, /shown this once/);
    const again = await run("add", "k.json", "billing");
    assert.deepEqual([again.code, again.out], [1, ""]);
    assert.match(again.err, /called that already/);
    const listed = await run("list", "k.json");
    assert.match(listed.out, /billing +[a-z0-9]{14} +active +20.*Z +never +a b/);
    assert.ok(!listed.out.includes(key.slice(-38)));
    const rotated = await run("rotate", "k.json", "billing", "--overlap", "2h", "--json");
    assert.match((JSON.parse(rotated.out) as { key: string }).key, /^tgk_/);
    const states = async () => {
      const { out } = await run("list", "k.json", "--json");
      return (JSON.parse(out) as { keys: { state: string }[] }).keys.map(({ state }) => state);
    };
    assert.deepEqual(await states(), ["rotating"]);
    assert.equal((await run("disable", "k.json", "billing")).code, 0);
    assert.deepEqual(await states(), ["disabled"]);
    assert.equal((await run("enable", "k.json", "billing")).code, 0);
    assert.equal((await run("remove", "k.json", "billing")).code, 0);
    assert.deepEqual(await states(), []);
    assert.equal((await run("remove", "k.json", "billing")).code, 1);
    assert.equal((await run("list", "nowhere.json")).code, 1);
  });
});

describe("tidegate users", () => {
  const password = "correct horse battery staple";

  test("keeps hashes that fit the password, in a file for its owner alone", async () => {
    await using folder = await folderWith({});
    const cwd = folder.path;
    const added = await tidegate(["users", "add", "staff.json", "ada"], {
      cwd,
      input: `${password}\n`,
    });
    assert.deepEqual([added.code, added.out], [0, ""]);
    const file = join(cwd, "staff.json");
    assert.equal((await stat(file)).mode & 0o777, 0o600);
    const text = await readFile(file, "utf8");
    assert.doesNotMatch(text, /horse/);
    const ada = parseUsersFile(text, file).users.get("ada");
    assert.ok(ada !== undefined && (await verifyPassword(password, ada.passwordHash)));
  });

  test("makes a password, keeps scopes when it changes one, lists and removes", async () => {
    await using folder = await folderWith({});
    const cwd = folder.path;
    const scoped = ["users", "add", "u.json", "ada", "--generate", "--scopes", "a b"];
    const first = await tidegate(scoped, { cwd });
    const second = await tidegate(["users", "add", "u.json", "ada", "--generate", "--json"], {
      cwd,
    });
    assert.match(first.out, /^[a-z2-9]{6}(-[a-z2-9]{6}){3}\n$/);
    const { password: made } = JSON.parse(second.out);
    assert.notEqual(made, first.out.trim());
    const ada = parseUsersFile(await readFile(join(cwd, "u.json"), "utf8"), "u").users.get("ada");
    assert.ok(ada !== undefined && (await verifyPassword(made, ada.passwordHash)));
    assert.equal((await tidegate(["users", "list", "u.json"], { cwd })).out, "ada  a b\n");

    const unknown = await tidegate(["users", "remove", "u.json", "adda"], { cwd });
    assert.equal(unknown.code, 1);
    assert.match(unknown.err, /did you mean ada\?/);
    assert.equal((await tidegate(["users", "remove", "u.json", "ada"], { cwd })).code, 0);
    assert.equal((await tidegate(["users", "list", "u.json"], { cwd })).out, "");
  });

  test("refuses passwords that are short, empty or cannot be sent, and files that are no users files", async () => {
    await using folder = await folderWith({ "tidegate.config.json": "{}" });
    const cwd = folder.path;
    for (const input of [
      "",
      "\n",
      "short\n",
      `${"x".repeat(20)}\u0007\n`,
      `${"x".repeat(1_025)}\n`,
    ]) {
      const { code, err } = await tidegate(["users", "add", "u.json", "ada"], { cwd, input });
      assert.equal(code, 1);
      assert.match(err, /^Cannot add ada: /);
    }
    const foreign = await tidegate(["users", "add", "tidegate.config.json", "ada", "--generate"], {
      cwd,
    });
    assert.equal(foreign.code, 1);
    assert.equal(await readFile(join(cwd, "tidegate.config.json"), "utf8"), "{}");
    assert.equal((await tidegate(["users", "list", "none.json"], { cwd })).code, 1);
    assert.deepEqual(await readdir(cwd), ["tidegate.config.json"]);
  });
});

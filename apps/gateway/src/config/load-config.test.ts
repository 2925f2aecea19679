import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ConfigError } from "./config-error.ts";
import { validate } from "./load-config.ts";
import { parseText } from "./text-source.ts";

const routes = `routes: [{ path: /, to: shop, auth: none }]`;
const shop = `upstreams: { shop: { targets: [http://127.0.0.1] } }`;

function load(text: string, environment: Readonly<Record<string, string>>) {
  const source = parseText(text, { file: "a.yaml", language: "yaml", environment });
  return validate(source, { file: "a.yaml", folder: "/folder" }).config;
}

function refusal(text: string, environment: Readonly<Record<string, string>>): ConfigError {
  try {
    load(text, environment);
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error));
    return error;
  }
  return assert.fail("was accepted");
}

describe("validate()", () => {
  test("makes a number or a truth value of the environment only where the schema wants one", () => {
    const text = `
listen: { port: "\${PORT}" }
identity: { staff: { kind: users-file, file: "\${DIGITS}", realm: "\${TRUE}" } }
record: { requests: "\${TRUE}" }
${shop}
routes: [{ path: /, to: shop, auth: { by: [staff], maxAgeSeconds: "\${DIGITS}" } }]`;
    const config = load(text, { PORT: "0", DIGITS: "12345678", TRUE: "true" });
    const { staff } = config.identity;
    assert.equal(config.listen.port, 0);
    assert.deepEqual(staff, { kind: "users-file", file: "/folder/12345678", realm: "true" });
    assert.equal(config.record.requests, true);
    const auth = config.routes[0]?.auth;
    assert.equal(typeof auth === "object" && auth.maxAgeSeconds, 12_345_678);
  });

  test("makes no number of what only looks like one", () => {
    for (const PORT of [
      "",
      " 80",
      "80 ",
      "0x50",
      "8e1",
      "+80",
      "080",
      "1_0",
      "NaN",
      "80\n",
      "yes",
    ]) {
      const { mistakes } = refusal(`listen: { port: "\${PORT}" }\n${shop}\n${routes}`, { PORT });
      assert.deepEqual(mistakes[0]?.path, ["listen", "port"], JSON.stringify(PORT));
    }
    // A number that was written as text stays a mistake.
    assert.equal(refusal(`listen: { port: "80" }\n${shop}\n${routes}`, {}).mistakes.length, 1);
  });

  test("shows the reference in place of what came from the environment", () => {
    const text = `
listen: { port: "\${A}", publicUrl: "https://\${A}@h" }
identity: { staff: { kind: users-file, file: u, realm: '"\${A}"' } }
upstreams: { shop: { targets: ["\${A}:x", "http://h/\${A}"] } }
routes: [{ path: "/x*\${A}", to: "\${A}", auth: "\${A}", methods: ["\${A}"] }]`;
    const { message, mistakes } = refusal(text, { A: "hunter2" });
    assert.doesNotMatch(message, /hunter2/);
    assert.match(message, /listen\.port = "\$\{A\}"/);
    assert.equal(mistakes.length, 9, message);
  });

  test("complains once about a place, and in the order of the file", () => {
    const { mistakes } = refusal(`${routes.replace("shop", '""')}\nlisten: { port: -1 }`, {});
    assert.deepEqual(
      mistakes.map(({ path, position }) => [path.join("."), position?.line]),
      [
        ["routes.0.to", 1],
        ["listen.port", 2],
      ],
    );
  });
});

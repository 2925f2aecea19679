// `tidegate token` with the embedded provider as a process of its own, and with answers that nobody should believe.

import assert from "node:assert/strict";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { describe, test } from "node:test";
import { startProcess, tempFolder, waitFor, type RunningProcess } from "@tidegate/testkit";

const IDENTITY = fileURLToPath(new URL("../../identity/src/main.ts", import.meta.url));
const TIDEGATE = fileURLToPath(new URL("../src/cli/main.ts", import.meta.url));
const PASSWORD = "correct horse battery staple";
const API = "https://api.test";

async function setUp() {
  await using parts = new AsyncDisposableStack();
  const folder = parts.use(await tempFolder());
  await mkdir(folder.file("demo"));
  const write = (name: string, value: object): Promise<void> =>
    writeFile(folder.file(name), JSON.stringify(value), { mode: 0o600 });
  const client = {
    kind: "native",
    redirectUris: ["http://127.0.0.1/callback"],
    resources: [API, "http://localhost:4711"],
  };
  const scopes = ["tasks:read", "tasks:write"];
  await write("clients.json", {
    resources: [
      { identifier: API, format: "jwt", scopes },
      { identifier: "http://localhost:4711", format: "jwt", scopes },
    ],
    clients: [{ ...client, id: "tidegate-cli", name: "Command line" }],
  });
  const identity = parts.use(
    await startProcess({
      args: [IDENTITY],
      env: {
        IDENTITY_PORT: "0",
        IDENTITY_ADMIN_PORT: "0",
        IDENTITY_DATA: folder.file("identity"),
        IDENTITY_CLIENTS_FILE: folder.file("clients.json"),
      },
      readyWhen: "identity.listening",
    }),
  );
  const line = identity
    .stdout()
    .split("\n")
    .find((text) => text.includes("identity.listening"));
  const listening = JSON.parse(line ?? "{}") as { url: string; adminUrl: string };
  const { adminUrl } = listening;
  // Its issuer is a name, whatever it listens on.
  const url = `http://localhost:${new URL(listening.url).port}`;
  const token = (await readFile(folder.file("identity/admin-token"), "utf8")).trim();
  const made = await fetch(`${adminUrl}/people`, {
    method: "POST",
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
    body: JSON.stringify({ loginName: "ada", email: "ada@example.org", password: PASSWORD }),
  });
  assert.equal(made.status, 201, await made.text());
  await write("demo/demo-users.json", { ada: PASSWORD, grace: "not her password" });
  await write("demo/ports.json", { gateway: 4711, identity: Number(new URL(url).port) });
  await write("tidegate.config.json", {
    upstreams: { tasks: { targets: ["http://127.0.0.1:9"] } },
    identity: {
      people: { kind: "oidc", issuer: url, audience: API, commandLineClient: "tidegate-cli" },
    },
    routes: [{ path: "/tasks", to: "tasks", auth: { by: ["people"], scopes: ["tasks:read"] } }],
  });
  const owned = parts.move();
  const run = (words: readonly string[], env: Record<string, string> = {}) =>
    startProcess({ args: [TIDEGATE, "token", ...words], cwd: folder.path, env });
  return {
    url,
    run,
    /** Until it ends by itself. */
    async ended(words: readonly string[]) {
      await using running = await run(words, { TIDEGATE_DATA: folder.file("demo") });
      const { code } = await running.exited({ deadlineMs: 20_000 });
      return { code, out: running.stdout().trim(), err: running.stderr() };
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

const claimsOf = (token: string): Record<string, unknown> =>
  JSON.parse(Buffer.from(token.split(".")[1] ?? "", "base64url").toString()) as Record<
    string,
    unknown
  >;

/** What a person would be shown to open. */
async function shown(running: RunningProcess) {
  const text = await waitFor(
    () => /http:\/\/\S+\/authorize\?\S+|http:\/\/\S+state=\S+/.exec(running.stderr())?.[0],
    {
      what: "the address to open",
    },
  );
  const { searchParams } = new URL(text);
  const at = (name: string): string => searchParams.get(name) ?? "";
  return { searchParams, redirect: at("redirect_uri"), state: at("state") };
}

const closed = (redirect: string): Promise<true | undefined> =>
  waitFor(
    () =>
      fetch(redirect).then(
        () => undefined,
        () => true as const,
      ),
    {
      what: "the port of the answer to be closed",
    },
  );

describe("tidegate token in the demo", () => {
  test("signs a person in over the provider's own pages, and prints the token alone", async () => {
    await using t = await setUp();
    const { code, out, err } = await t.ended(["ada"]);
    assert.equal(code, 0, err);
    assert.equal(err, "");
    assert.match(out, /^[\w-]+\.[\w-]+\.[\w-]+$/);
    const { iss, aud, scope, client_id: client } = claimsOf(out);
    assert.deepEqual(
      { iss, aud, scope, client },
      {
        iss: t.url,
        aud: "http://localhost:4711",
        scope: "tasks:read tasks:write",
        client: "tidegate-cli",
      },
    );

    const json = await t.ended(["ada", "--json", "--scope", "tasks:read", "--resource", API]);
    const said = JSON.parse(json.out) as Record<string, unknown>;
    assert.equal(said["ok"], true);
    assert.equal(said["refresh_token"], undefined);
    const narrow = claimsOf(String(said["access_token"]));
    assert.deepEqual([narrow["aud"], narrow["scope"]], [API, "tasks:read"]);
    assert.equal(claimsOf(String(said["id_token"]))["aud"], "tidegate-cli");
  });

  test("says what is wrong with a person or a password, and never the password", async () => {
    await using t = await setUp();
    for (const [words, why] of [
      [["grace"], /Cannot sign in as grace: the provider answered/],
      [["eve"], /Cannot sign in as eve: .* knows ada and grace/],
      [[], /knows ada and grace/],
      [["ada", "--resource", "https://other.test"], /it refused \(invalid_target\)/],
      [["ada", "--client", "nobody"], /Cannot sign in as ada/],
    ] as const) {
      const { code, out, err } = await t.ended(words);
      assert.equal(code, 1, err);
      assert.equal(out, "");
      assert.match(err, why);
      assert.doesNotMatch(err, /not her password|correct horse/);
    }
  });
});

describe("tidegate token with a browser", () => {
  test("asks as RFC 8252 and RFC 7636 want it, and ends when the provider refuses", async () => {
    await using t = await setUp();
    await using running = await t.run(["ada"]);
    const { searchParams, redirect, state } = await shown(running);
    assert.match(redirect, /^http:\/\/127\.0\.0\.1:\d+\/callback$/);
    const at = (name: string) => searchParams.get(name);
    assert.equal(at("response_type"), "code");
    assert.equal(at("code_challenge_method"), "S256");
    assert.equal(at("code_challenge")?.length, 43);
    assert.equal(at("login_hint"), "ada");
    assert.equal(at("scope"), "openid tasks:read");
    const answer = new URL(redirect);
    answer.search = new URLSearchParams({
      state,
      iss: t.url,
      error: "access_denied",
      error_description: "\u001b[2Jno",
    }).toString();
    assert.equal((await fetch(answer)).status, 200);
    assert.equal((await running.exited()).code, 1);
    assert.match(running.stderr(), /it refused \(access_denied\)/);
    assert.equal(running.stdout(), "");
    // eslint-disable-next-line no-control-regex -- what must not be there
    assert.doesNotMatch(running.stderr(), /\u001b/);
  });

  test("goes on waiting when somebody else answers, and takes the first answer alone", async () => {
    await using t = await setUp();
    await using running = await t.run(["ada"]);
    const { redirect, state } = await shown(running);
    const strays: readonly [string, RequestInit][] = [
      ["?code=stolen&state=guessed", {}],
      ["?code=stolen", {}],
      [`?code=stolen&state=${state}&state=${state}`, {}],
      [`?code=stolen&state=${state}`, { method: "POST" }],
      ["", {}],
    ];
    for (const [query, init] of strays)
      assert.equal((await fetch(`${redirect}${query}`, init)).status, 400, query);
    assert.equal((await fetch(new URL(`/?code=a&state=${state}`, redirect))).status, 400);
    assert.equal(running.exit(), undefined);

    // Two at once: the second is not believed, whatever it says.
    const mine = `${redirect}?code=made-up&state=${state}&iss=${encodeURIComponent(t.url)}`;
    const answers = await Promise.all(
      [mine, mine].map((url) =>
        fetch(url).then(
          ({ status }) => status,
          () => "closed",
        ),
      ),
    );
    assert.equal(answers.filter((status) => status === 200).length, 1, String(answers));
    await closed(redirect);
    assert.equal((await running.exited()).code, 1);
    assert.match(running.stderr(), /Cannot sign in at .*invalid_grant/);
    assert.equal(running.stdout(), "");
  });

  test("believes no answer of another issuer, nor one without its issuer (mix-up, RFC 9207)", async () => {
    await using t = await setUp();
    for (const iss of ["&iss=https%3A%2F%2Fother.test", ""]) {
      await using running = await t.run([]);
      const { redirect, state } = await shown(running);
      assert.equal((await fetch(`${redirect}?code=theirs&state=${state}${iss}`)).status, 200);
      assert.equal((await running.exited()).code, 1);
      assert.match(running.stderr(), /not as asked for/);
      assert.equal(running.stdout(), "");
    }
  });

  test("says what it lacks before it asks anybody", async () => {
    await using t = await setUp();
    for (const [words, why] of [
      [["--provider", "nobody"], /the configuration knows people/],
      [["--config", "missing.yaml"], /cannot be read/],
    ] as const) {
      const { code, err } = await t.ended(words);
      assert.equal(code, 1);
      assert.match(err, why);
    }
  });
});

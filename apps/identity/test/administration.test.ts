import assert from "node:assert/strict";
import { readFileSync, statSync } from "node:fs";
import { describe, test } from "node:test";
import { runCommand } from "../src/cli.ts";
import { letterTo } from "./outbox.ts";
import { PASSWORD, startIdentityUnderTest, type IdentityUnderTest } from "./identity-under-test.ts";

const tokenOf = (identity: IdentityUnderTest): string =>
  readFileSync(`${identity.folder}/admin-token`, "utf8").trim();

/** Runs a command as an administrator would; answers its lines, cut at the tabs. */
async function command(
  identity: IdentityUnderTest,
  words: readonly string[],
  stdin = "",
): Promise<string[][]> {
  const lines: string[] = [];
  await runCommand(words, {
    access: { url: identity.server.adminUrl, tokenFile: `${identity.folder}/admin-token` },
    fetch,
    print: (line) => void lines.push(line),
    readStdin: () => Promise.resolve(stdin),
  });
  return lines.map((line) => line.split("\t"));
}

describe("the administrators' API", () => {
  test("answers nobody without the token, from another name, or with a misspelled field", async () => {
    await using identity = await startIdentityUnderTest();
    const { adminUrl } = identity.server;
    const token = tokenOf(identity);
    const status = async (headers: Record<string, string>, path = "/people"): Promise<number> => {
      const answer = await fetch(`${adminUrl}${path}`, { headers });
      await answer.body?.cancel();
      return answer.status;
    };
    for (const authorization of [
      "",
      "Bearer",
      `Bearer ${token}x`,
      `Bearer ${token.slice(1)}`,
      `Basic ${token}`,
      token,
    ]) {
      assert.equal(await status({ authorization }), 401, authorization);
    }
    assert.equal(await status({ authorization: `Bearer ${token}` }), 200);
    assert.equal(await status({ authorization: `Bearer ${token}` }, "/people?limit=0"), 400);
    assert.equal(await status({ authorization: `Bearer ${token}` }, "/people?limit=501"), 400);
    assert.equal(statSync(`${identity.folder}/admin-token`).mode & 0o777, 0o600);
    const misspelled = await fetch(`${adminUrl}/people`, {
      method: "POST",
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
      body: JSON.stringify({ loginName: "edsger", pasword: "x" }),
    });
    assert.equal(misspelled.status, 400);
    assert.match(await misspelled.text(), /pasword is not known/);
    // The public listener knows none of it.
    const open = await fetch(`${identity.issuer}/people`, {
      headers: { authorization: `Bearer ${token}` },
    });
    assert.equal(open.status, 404);
  });

  test("refuses weak passwords, taken and impossible names", async () => {
    await using identity = await startIdentityUnderTest();
    for (const [words, stdin, said] of [
      [["people", "create", "edsger", "--password-stdin"], "password1", /common/],
      [["people", "create", "edsger", "--password-stdin"], "short", /too-short/],
      [["people", "create", "ada"], "", /taken/],
      [["people", "create", "a b"], "", /login name/],
      [["people", "create", "edsger", "--email", "nowhere"], "", /no e-mail address/],
      [["people", "show", "nobody"], "", /nobody called nobody/],
      [["people", "disable"], "", /Usage/],
      [["people", "destroy", "ada"], "", /Usage/],
      [["people", "list", "--all"], "", /Usage/],
    ] as const) {
      await assert.rejects(command(identity, words, stdin), { message: said });
    }
  });
});

describe("the command line", () => {
  test("makes people who can sign in at once, and lists, resets and re-enables them", async () => {
    await using identity = await startIdentityUnderTest();
    const [made, password] = await command(identity, [
      "people",
      "create",
      "edsger",
      "--email",
      "e@example.org",
    ]);
    assert.equal(made?.[0], "edsger");
    assert.equal(password?.[0], "password");
    const party = await identity.relyingParty();
    const tokens = await party.signIn(identity.browser(), {
      login: "edsger",
      password: password?.[1] ?? "",
    });
    assert.equal(tokens.claims()?.sub, made?.[1]);
    assert.equal(tokens.claims()?.["email_verified"], true);
    const listed = await command(identity, ["people", "list", "--search", "eds"]);
    assert.deepEqual(listed, [["edsger", made?.[1], "e@example.org", "enabled"]]);
    const sessions = await command(identity, ["people", "sessions", "edsger"]);
    assert.equal(sessions[0]?.[3], "gateway");

    await command(
      identity,
      ["people", "reset", "edsger", "--password-stdin"],
      "structured programming\n",
    );
    assert.deepEqual(await command(identity, ["people", "sessions", "edsger"]), []);
    const again = { login: "edsger", password: "structured programming" };
    assert.ok((await party.signIn(identity.browser(), again)).access_token);

    const disabled = await command(identity, ["people", "disable", made?.[1] ?? ""]);
    assert.deepEqual(disabled[1], ["ended sessions", "1"]);
    await assert.rejects(party.signIn(identity.browser(), again), /No answer for the client/);
    await command(identity, ["people", "enable", "edsger"]);
    assert.ok((await party.signIn(identity.browser(), again)).access_token);
  });

  test("reset --send-link mails a link that works once, and says when nobody can be reached", async () => {
    await using identity = await startIdentityUnderTest();
    await command(identity, ["people", "create", "edsger"]);
    for (const words of [
      ["people", "reset", "edsger", "--send-link"],
      ["people", "reset", "ada", "--send-link", "--password-stdin"],
    ]) {
      await assert.rejects(command(identity, words, "a fine long passphrase"), /Cannot do it \(4/);
    }
    await command(identity, ["people", "disable", "grace"]);
    await assert.rejects(command(identity, ["people", "reset", "grace", "--send-link"]), /409/);
    const party = await identity.relyingParty();
    await party.signIn(identity.browser());
    const said = await command(identity, ["people", "reset", "ada", "--send-link"]);
    assert.deepEqual(said[1], ["sent", "link"]);
    assert.equal((await command(identity, ["people", "sessions", "ada"])).length, 1);
    const letter = await letterTo(identity, "ada@example.org", "token=");
    const link = /http:\S+token=\S+/.exec(letter)?.[0] ?? "";
    const browser = identity.browser();
    await browser.open(link);
    const done = await browser.submit({ password: "lantern orbit maple" });
    assert.match(done.url, /\/reset\/done$/);
    assert.deepEqual(await command(identity, ["people", "sessions", "ada"]), []);
    const login = { login: "ada", password: "lantern orbit maple" };
    assert.ok((await party.signIn(identity.browser(), login)).access_token);
    assert.match((await identity.browser().open(link)).text, /link was used already/);
  });

  test("lists page by page, and writes down every request, readings and refused ones too", async () => {
    await using identity = await startIdentityUnderTest();
    for (const name of ["alan", "barbara", "edsger"]) {
      await command(identity, ["people", "create", name]);
    }
    const headers = { authorization: `Bearer ${tokenOf(identity)}` };
    const pages: string[][] = [];
    for (let after: string | undefined = ""; after !== undefined;) {
      const url = `${identity.server.adminUrl}/people?limit=2&after=${after}`;
      const page = (await (await fetch(url, { headers })).json()) as {
        readonly people: readonly { readonly loginName: string }[];
        readonly next?: string;
      };
      pages.push(page.people.map(({ loginName }) => loginName));
      after = page.next;
    }
    assert.deepEqual(pages, [["ada", "alan"], ["barbara", "edsger"], ["grace"]]);
    await command(identity, ["people", "show", "ada"]);
    await command(identity, ["people", "sessions", "ada"]);
    for (const action of ["disable", "enable", "reset", "end-sessions"]) {
      await command(identity, ["people", action, "ada"]);
    }
    await (await fetch(`${identity.server.adminUrl}/people`)).body?.cancel();
    const lines = identity.log().filter(({ event }) => event === "people.administered");
    assert.deepEqual(
      lines.map(({ action, isDone, personId }) => [action, isDone, personId === identity.adaId]),
      [
        ...["create", "create", "create", "list", "list", "list"].map((one) => [one, true, false]),
        ...["show", "sessions", "disable", "enable", "reset", "end-sessions"].map((one) => [
          one,
          true,
          true,
        ]),
        ["authenticate", false, false],
      ],
    );
  });

  test("says plainly when no provider is there", async () => {
    const io = {
      access: { url: "http://127.0.0.1:1", tokenFile: "/nowhere/admin-token" },
      fetch,
      print: () => undefined,
      readStdin: () => Promise.resolve(""),
    };
    await assert.rejects(runCommand(["people", "list"], io), /Cannot read \/nowhere\/admin-token/);
  });
});

describe("keys", () => {
  test("change in order without ending anything, and at once when they may be known", async () => {
    await using identity = await startIdentityUnderTest();
    const party = await identity.relyingParty();
    const tokens = await party.signIn(identity.browser());
    const keys = async (): Promise<string[]> => {
      const answer = await fetch(`${identity.issuer}/jwks`);
      const { keys: found } = (await answer.json()) as { keys: { kid: string; d?: string }[] };
      assert.equal(
        found.some((key) => "d" in key),
        false,
      );
      return found.map(({ kid }) => kid);
    };
    const signedBy = (token: string): unknown =>
      (
        JSON.parse(Buffer.from(token.split(".")[0] ?? "", "base64url").toString()) as {
          kid?: string;
        }
      ).kid;
    const [first] = await keys();
    assert.equal(signedBy(tokens.access_token), first);
    await command(identity, ["keys", "rotate"]);
    const both = await keys();
    assert.equal(both.length, 2);
    assert.equal(both[0], first, "the new key waits at the end");
    assert.equal(signedBy((await party.signIn(identity.browser())).access_token), first);
    await identity.restart();
    assert.deepEqual(await keys(), both);
    await command(identity, ["keys", "rotate", "--at-once"]);
    const after = await keys();
    assert.equal(after.length, 1);
    assert.equal(both.includes(after[0] ?? ""), false);
    const fresh = await identity.relyingParty();
    assert.equal(
      signedBy((await fresh.signIn(identity.browser(), { password: PASSWORD })).access_token),
      after[0],
    );
    for (const file of ["signing-keys.json", "secrets.json", "admin-token"]) {
      assert.equal(statSync(`${identity.folder}/${file}`).mode & 0o777, 0o600, file);
    }
  });
});

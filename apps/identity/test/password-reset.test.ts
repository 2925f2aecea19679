import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { startAccount, type AccountUnderTest } from "./account-under-test.ts";

const PASSWORD = "lantern orbit maple";
const OTHER = "violet anchor seven";

describe("a forgotten password", () => {
  const ask = (account: AccountUnderTest, login: string) =>
    account.browser().submit("/reset", "/reset", { login });

  test("answers the same for known, unknown, unconfirmed and disabled", async () => {
    await using account = await startAccount();
    await account.signedIn("ada", PASSWORD, { email: "ada@example.org", isEmailVerified: true });
    await account.signedIn("bob", PASSWORD, { email: "bob@example.org" });
    const { personId } = await account.signedIn("eve", PASSWORD, {
      email: "eve@example.org",
      isEmailVerified: true,
    });
    await account.people.store.setDisabled(personId, true);
    const answers = await Promise.all(
      ["ada", "bob", "eve", "nobody", "x".repeat(3_000)].map((login) => ask(account, login)),
    );
    for (const { status, location, text } of answers) {
      assert.deepEqual(
        { status, location, text },
        { status: 303, location: "/reset/sent", text: "" },
      );
    }
    await account.people.reset.settled();
    await account.letterTo("ada@example.org", "asked for a new password");
    assert.equal((await account.letters()).length, 1);
  });

  test("a link works once, ends every session, tells by mail, and leaves the address at once", async () => {
    await using account = await startAccount();
    const ada = await account.signedIn("ada", PASSWORD, {
      email: "ada@example.org",
      isEmailVerified: true,
    });
    await ask(account, "ADA@example.org");
    const link = /http:\S+token=\S+/.exec(await account.letterTo("ada@example.org", "token="))![0];
    const { pathname, search } = new URL(link);
    const browser = account.browser();
    const opened = await browser.get(pathname + search);
    assert.deepEqual([opened.status, opened.location], [303, "/reset/new"]);
    const refused = await browser.submitAndFollow("/reset/new", "/reset/new", {
      password: "password",
    });
    assert.match(refused.text, /id="password-problem"/);
    assert.equal(account.sessions.isLive(ada.sessionId), true);
    const answer = await browser.submit("/reset/new", "/reset/new", { password: OTHER });
    assert.equal(answer.location, "/reset/done");
    assert.equal(account.sessions.isLive(ada.sessionId), false);
    await account.letterTo("ada@example.org", "your password was changed");
    const again = account.browser();
    await again.get(pathname + search);
    const late = await again.get("/reset/new");
    assert.equal(late.location, "/reset");
    assert.match((await again.get("/reset")).text, /link was used already/);
  });

  test("of two parallel uses of one link exactly one wins", async () => {
    await using account = await startAccount();
    await account.signedIn("ada", PASSWORD, { email: "ada@example.org", isEmailVerified: true });
    await ask(account, "ada");
    const link = /http:\S+token=(\S+)/.exec(await account.letterTo("ada@example.org", "token="))!;
    const outcomes = await Promise.all(
      [OTHER, `${OTHER} too`, `${OTHER} three`].map((password) =>
        account.people.reset.redeem(link[1]!, password),
      ),
    );
    assert.deepEqual(outcomes.map(({ outcome }) => outcome).toSorted(), [
      "changed",
      "expired",
      "expired",
    ]);
  });
});

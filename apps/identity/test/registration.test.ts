import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { startAccount } from "./account-under-test.ts";

const PASSWORD = "lantern orbit maple";

describe("registering", () => {
  test("tells what is wrong by field, keeps what was typed, and never the password", async () => {
    await using account = await startAccount();
    const browser = account.browser();
    const page = await browser.submitAndFollow("/register", "/register", {
      loginName: `"><b>`,
      email: "nobody",
      password: "password1",
    });
    assert.match(page.text, /id="loginName-problem"/);
    assert.match(page.text, /id="email-problem"/);
    assert.match(page.text, /those that attackers try first/);
    assert.match(page.text, /value="&quot;&gt;&lt;b&gt;"/);
    assert.doesNotMatch(page.text, /password1|<b>/);
    assert.doesNotMatch((await browser.get("/register")).text, /-problem"/, "told once");
  });

  test("signs in, mails a code, and confirms the address with it", async () => {
    await using account = await startAccount();
    const browser = account.browser();
    const answer = await browser.submit("/register", "/register", {
      loginName: "Ada",
      email: "Ada@example.org",
      password: PASSWORD,
    });
    assert.equal(answer.status, 303);
    assert.equal(answer.location, "/verify");
    const letter = await account.letterTo("Ada@example.org", "this code confirms");
    const code = /^ {4}(\d{4} \d{4})\r?$/m.exec(letter)![1]!;
    const wrong = await browser.submitAndFollow("/verify", "/verify", { code: "0000 0000" });
    assert.match(wrong.text, /not the code that we sent/);
    const right = await browser.submitAndFollow("/verify", "/verify", { code });
    assert.match(right.text, /is confirmed/);
    const found = await account.people.store.findByLogin("ADA@EXAMPLE.org");
    assert.equal(found?.person.loginName, "ada");
    assert.equal(found.person.isEmailVerified, true);
  });

  test("goes on where the person came from, and nowhere else", async () => {
    await using account = await startAccount();
    const shapes = [
      "https://evil.example/",
      "//evil.example",
      "/\\evil.example",
      "javascript:alert(1)",
      "/\t/evil.example",
    ];
    for (const [index, shape] of [...shapes, "/interaction/abc?x=1"].entries()) {
      const answer = await account.browser().submit("/register", "/register", {
        loginName: `person${index}`,
        email: "x@example.org",
        password: PASSWORD,
        continue: shape,
      });
      assert.equal(answer.location, shape === "/interaction/abc?x=1" ? shape : "/verify");
    }
  });

  test("never tells that an address has an account, but tells its owner", async () => {
    await using account = await startAccount();
    await account.signedIn("ada", PASSWORD, { email: "ada@example.org", isEmailVerified: true });
    const known = await account.browser().submit("/register", "/register", {
      loginName: "mallory",
      email: "ADA@example.org",
      password: PASSWORD,
    });
    const unknown = await account.browser().submit("/register", "/register", {
      loginName: "mallory2",
      email: "new@example.org",
      password: PASSWORD,
    });
    assert.deepEqual([known.status, known.location], [unknown.status, unknown.location]);
    const letter = await account.letterTo("ADA@example.org", "wants to use this address");
    assert.match(letter, /Hello ada/);
    assert.doesNotMatch(
      letter,
      /mallory/,
      "whoever claims it writes nothing into the owner's mail",
    );
  });

  test("tells that a name is taken only so often per network", async () => {
    await using account = await startAccount();
    await account.signedIn("ada", PASSWORD);
    const mallory = account.browser({ address: "192.0.2.1" });
    const ask = () =>
      mallory.submitAndFollow("/register", "/register", {
        loginName: "ada",
        email: "m@example.org",
        password: PASSWORD,
      });
    for (let asked = 0; asked < 10; asked++) assert.match((await ask()).text, /This name is taken/);
    const refused = await ask();
    assert.match(refused.text, /Too many attempts/);
    assert.doesNotMatch(refused.text, /taken/);
    const elsewhere = account.browser({ address: "192.0.2.2" });
    const bob = await elsewhere.submit("/register", "/register", {
      loginName: "bob",
      email: "b@example.org",
      password: PASSWORD,
    });
    assert.equal(bob.location, "/verify", "others are not delayed");
  });

  test("is impossible where it is closed", async () => {
    await using account = await startAccount({ isRegistrationOpen: false });
    const browser = account.browser();
    assert.match((await browser.get("/register")).text, /Registration is closed/);
    await browser.submit("/reset", "/register", {
      loginName: "ada",
      email: "a@example.org",
      password: PASSWORD,
    });
    assert.equal(await account.people.store.count(), 0);
  });
});

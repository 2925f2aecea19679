import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { startAccount } from "./account-under-test.ts";

const PASSWORD = "lantern orbit maple";
const OTHER = "violet anchor seven";

describe("forms of the account pages", () => {
  test("a form without its token, with another browser's, or from another origin changes nothing", async () => {
    await using account = await startAccount();
    const { browser, personId } = await account.signedIn("ada", PASSWORD);
    const mallory = account.browser();
    const theirs = /name="formToken" value="([^"]*)"/.exec(
      (await mallory.get("/register")).text,
    )![1]!;
    const mine = /name="formToken" value="([^"]*)"/.exec((await browser.get("/account")).text)![1]!;
    const fields = { displayName: "Mallory" };
    for (const formToken of ["", "x", theirs, `${mine}x`, mine.slice(1)]) {
      const answer = await browser.post("/account/name", { ...fields, formToken });
      assert.equal(answer.status, 403, formToken);
    }
    for (const origin of [
      "null",
      "http://localhost:1",
      "http://evil.example",
      `${account.origin}.evil.example`,
    ]) {
      const answer = await browser.post(
        "/account/name",
        { ...fields, formToken: mine },
        { origin },
      );
      assert.equal(answer.status, 403, origin);
    }
    const without = await browser.post("/account/name", { ...fields, formToken: mine }, {});
    assert.equal(without.status, 403);
    assert.equal((await account.people.store.find(personId))?.displayName, "ada");
    assert.equal((await browser.post("/account/name", { ...fields, formToken: mine })).status, 303);
    assert.equal((await account.people.store.find(personId))?.displayName, "Mallory");
  });

  test("every page of the account leads to sign-in while nobody is signed in", async () => {
    await using account = await startAccount();
    const browser = account.browser();
    for (const path of ["/account", "/account/delete", "/verify"]) {
      const answer = await browser.get(path);
      assert.equal(answer.status, 303);
      assert.match(answer.location!, /^\/sign-in\?returnTo=/);
    }
    const posts = [
      "/account/name",
      "/account/email",
      "/account/password",
      "/account/sessions/end",
      "/account/sessions/end-others",
      "/account/delete",
      "/verify",
      "/verify/again",
    ];
    for (const path of posts) {
      const answer = await browser.submit("/register", path, {});
      assert.equal(answer.status, 303, path);
      assert.match(answer.location!, /^\/sign-in\?returnTo=/);
    }
  });

  test("every page forbids scripts, frames, referrers to others, sniffing and storing", async () => {
    await using account = await startAccount();
    const { browser } = await account.signedIn("ada", PASSWORD);
    for (const path of [
      "/account",
      "/account/delete",
      "/register",
      "/reset",
      "/reset/sent",
      "/account-deleted",
    ]) {
      const { status, headers, text } = await browser.get(path);
      assert.equal(status, 200, path);
      assert.match(
        headers.get("content-security-policy")!,
        /^default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'$/,
      );
      assert.equal(headers.get("x-content-type-options"), "nosniff");
      assert.equal(headers.get("cache-control"), "no-store");
      assert.equal(headers.get("referrer-policy"), "same-origin");
      assert.doesNotMatch(text, /<script|\son\w+=|javascript:|style="/i);
    }
  });

  test("the stylesheet has a strong tag and is not sent twice", async () => {
    await using account = await startAccount();
    const first = await fetch(`${account.origin}/assets/style.css`);
    assert.equal(first.status, 200);
    assert.match(first.headers.get("content-type")!, /^text\/css/);
    const etag = first.headers.get("etag")!;
    assert.match(etag, /^"[\w-]{43}"$/);
    await first.arrayBuffer();
    for (const field of [etag, `"other", W/${etag}`, "*"]) {
      const again = await fetch(`${account.origin}/assets/style.css`, {
        headers: { "if-none-match": field },
      });
      assert.equal(again.status, 304, field);
      assert.equal(await again.text(), "");
    }
    const changed = await fetch(`${account.origin}/assets/style.css`, {
      headers: { "if-none-match": '"other"' },
    });
    assert.equal(changed.status, 200);
    await changed.arrayBuffer();
  });
});

describe("the account", () => {
  test("changes the password after the old one, ends other sessions, keeps this one, and tells by mail", async () => {
    await using account = await startAccount();
    const ada = await account.signedIn("ada", PASSWORD, {
      email: "ada@example.org",
      isEmailVerified: true,
    });
    const elsewhere = account.sessions.open(ada.personId);
    const wrong = await ada.browser.submitAndFollow("/account", "/account/password", {
      current: "wrong wrong",
      password: OTHER,
    });
    assert.match(wrong.text, /not your current password/);
    assert.equal(account.sessions.isLive(elsewhere), true);
    const weak = await ada.browser.submitAndFollow("/account", "/account/password", {
      current: PASSWORD,
      password: "ada@example.org",
    });
    assert.match(weak.text, /too close to your name/);
    const right = await ada.browser.submitAndFollow("/account", "/account/password", {
      current: PASSWORD,
      password: OTHER,
    });
    assert.match(right.text, /Your password is changed/);
    assert.equal(account.sessions.isLive(elsewhere), false);
    assert.equal(account.sessions.isLive(ada.sessionId), true);
    await account.letterTo("ada@example.org", "your password was changed");
    const attempt = (password: string) =>
      account.people.signIn.attempt({
        login: "ada",
        password,
        network: "192.0.2.9",
        deviceTokens: [],
      });
    assert.equal((await attempt(PASSWORD)).outcome, "refused");
    assert.equal((await attempt(OTHER)).outcome, "accepted");
  });

  test("lists sessions, ends one or all others, and never somebody else's", async () => {
    await using account = await startAccount();
    const ada = await account.signedIn("ada", PASSWORD);
    const bob = await account.signedIn("bob", PASSWORD);
    const phone = account.sessions.open(
      ada.personId,
      "Mozilla/5.0 (Linux; Android 16) Chrome/150.0 Mobile",
    );
    const hostile = account.sessions.open(ada.personId, `<script>alert(1)</script>`);
    const { text } = await ada.browser.get("/account");
    assert.match(text, /Chrome on Android/);
    assert.match(text, /Firefox on Linux/);
    assert.match(text, /this browser/);
    assert.doesNotMatch(text, /<script/);
    await ada.browser.submit("/account", "/account/sessions/end", { session: bob.sessionId });
    assert.equal(account.sessions.isLive(bob.sessionId), true);
    await ada.browser.submit("/account", "/account/sessions/end", { session: phone });
    assert.equal(account.sessions.isLive(phone), false);
    await ada.browser.submit("/account", "/account/sessions/end-others", {});
    assert.equal(account.sessions.isLive(hostile), false);
    assert.equal(account.sessions.isLive(ada.sessionId), true);
    assert.equal(account.sessions.isLive(bob.sessionId), true);
  });

  test("changes the address only after the password and the code, and tells the old one", async () => {
    await using account = await startAccount();
    const ada = await account.signedIn("ada", PASSWORD, {
      email: "old@example.org",
      isEmailVerified: true,
    });
    const without = await ada.browser.submitAndFollow("/account", "/account/email", {
      email: "new@example.org",
      password: "wrong wrong",
    });
    assert.match(without.text, /not your current password/);
    const answer = await ada.browser.submit("/account", "/account/email", {
      email: "new@example.org",
      password: PASSWORD,
    });
    assert.equal(answer.location, "/verify");
    assert.equal((await account.people.store.find(ada.personId))?.email, "old@example.org");
    const letter = await account.letterTo("new@example.org", "this code confirms");
    const code = /^ {4}(\d{4} \d{4})\r?$/m.exec(letter)![1]!;
    await ada.browser.submit("/verify", "/verify", { code });
    const person = await account.people.store.find(ada.personId);
    assert.deepEqual([person?.email, person?.isEmailVerified], ["new@example.org", true]);
    await account.letterTo("old@example.org", "another e-mail address");
  });

  test("is deleted after the password: sessions end, nobody can sign in, the name comes free, the id does not", async () => {
    await using account = await startAccount();
    const ada = await account.signedIn("ada", PASSWORD, {
      email: "ada@example.org",
      isEmailVerified: true,
    });
    const wrong = await ada.browser.submitAndFollow("/account/delete", "/account/delete", {
      password: "wrong wrong",
    });
    assert.match(wrong.text, /not your current password/);
    const gone = await ada.browser.submitAndFollow("/account/delete", "/account/delete", {
      password: PASSWORD,
    });
    assert.match(gone.text, /account is deleted/);
    assert.equal(account.sessions.isLive(ada.sessionId), false);
    assert.equal(await account.people.store.find(ada.personId), undefined);
    const later = await account.signedIn("ada", PASSWORD);
    assert.notEqual(later.personId, ada.personId);
  });
});

// What people do with letters, in a real browser at the real provider, without scripts.

import assert from "node:assert/strict";
import { test } from "node:test";
import { startChromium, waitFor } from "@tidegate/testkit";
import { startIdentityUnderTest } from "./identity-under-test.ts";
import { lettersOf, letterTo } from "./outbox.ts";

test("a person registers, types the code, comes back with a new browser, forgets the password and deletes the account", async () => {
  await using identity = await startIdentityUnderTest();
  await using chromium = await startChromium();
  const open = async () => {
    const context = await chromium.browser.newContext({ javaScriptEnabled: false });
    return await context.newPage();
  };
  const at = (path: string): string => `${identity.issuer}${path}`;
  const send = 'main form:has(input[type="password"]) button[type=submit]';
  const mailbox = "edsger@example.org";
  const [first, second] = ["structured programming", "considered harmless"];

  const home = await open();
  await home.goto(at("/register"));
  await home.fill("input[name=loginName]", "edsger");
  await home.fill("input[name=email]", mailbox);
  await home.fill("input[name=password]", first ?? "");
  await home.click(send);
  await home.waitForURL(at("/verify"));
  const code = /^ {4}(\d{4} \d{4})/m.exec(await letterTo(identity, mailbox, "confirms"))?.[1];
  await home.fill("input[name=code]", code ?? "");
  await home.press("input[name=code]", "Enter");
  await home.waitForURL(at("/account"));

  const signIn = async (page: typeof home, password = ""): Promise<void> => {
    await page.goto(at("/sign-in"));
    await page.fill("input[name=login]", "edsger");
    await page.fill("input[name=password]", password);
    await page.click(send);
    await page.waitForURL(at("/account"));
  };
  const notices = async (): Promise<number> =>
    (await lettersOf(identity)).filter((text) => text.includes("not seen before")).length;
  const away = await open();
  await signIn(away, first);
  await letterTo(identity, mailbox, "not seen before");
  // Known by now: no second notice.
  await away.context().clearCookies({ name: "__Host-identity-session" });
  await signIn(away, first);
  await waitFor(() => identity.server.people.mail.waiting === 0, { what: "an empty queue" });
  assert.equal(await notices(), 1);

  const lost = await open();
  await lost.goto(at("/reset"));
  await lost.fill("input[name=login]", mailbox);
  await lost.press("input[name=login]", "Enter");
  await lost.waitForURL(at("/reset/sent"));
  const letter = await letterTo(identity, mailbox, "token=");
  await lost.goto(/http:\S+token=\S+/.exec(letter)?.[0] ?? "");
  assert.equal(lost.url(), at("/reset/new"), "the token does not stay in the address");
  await lost.fill("input[name=password]", second ?? "");
  await lost.click(send);
  await lost.waitForURL(at("/reset/done"));
  for (const page of [home, away]) {
    await page.goto(at("/account"));
    assert.match(page.url(), /\/sign-in/, "every session ended");
  }
  const reasons = identity.log().filter(({ event }) => event === "session.ended");
  assert.ok(reasons.some(({ reason }) => reason === "password-changed"));

  await signIn(home, second);
  await home.goto(at("/account/delete"));
  await home.fill("input[name=password]", second ?? "");
  await home.click(send);
  await home.waitForURL(at("/account-deleted"));
  assert.equal(await identity.server.people.store.findByLoginName("edsger"), undefined);
});

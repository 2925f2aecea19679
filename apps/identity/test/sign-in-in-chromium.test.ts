import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { describe, test } from "node:test";
import { startChromium } from "@tidegate/testkit";
import { CLIENTS, PASSWORD, startIdentityUnderTest } from "./identity-under-test.ts";

/** A client's own site: shows where the browser arrived. */
async function clientSite(): Promise<AsyncDisposable & { readonly origin: string }> {
  const server = createServer((request, response) => {
    response.setHeader("content-type", "text/html");
    response.end(`<!doctype html><title>client</title><p>${request.url?.split("?")[0]}</p>`);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  const port = typeof address === "object" ? address?.port : 0;
  return {
    origin: `http://127.0.0.1:${port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

describe("a whole sign-in in Chromium, without scripts", () => {
  test("leads to the client and back out, with cookies that the browser takes and a policy that lets it through", async () => {
    await using site = await clientSite();
    const callback = `${site.origin}/callback`;
    const signedOut = `${site.origin}/signed-out`;
    const clients = CLIENTS.map((one) =>
      one.id === "gateway" || one.id === "stranger"
        ? { ...one, redirectUris: [callback], signOutUris: [signedOut] }
        : one,
    );
    await using identity = await startIdentityUnderTest({ clients });
    await using chromium = await startChromium();
    const context = await chromium.browser.newContext({ javaScriptEnabled: false });
    const page = await context.newPage();
    const complaints: string[] = [];
    page.on("console", (message) => complaints.push(message.text()));

    const party = await identity.relyingParty("stranger");
    const request = await party.begin({ redirect_uri: callback });
    await page.goto(request.url);
    await page.fill("input[name=login]", "ada");
    await page.fill("input[name=password]", "wrong");
    await page.click("button[type=submit]");
    await page.getByText("The name or the password is not right").waitFor();
    await page.fill("input[name=password]", PASSWORD);
    await page.click("button[type=submit]");
    await page.getByText("see your tasks").waitFor();
    await page.click("button[value=allow]");
    await page.waitForURL(`${callback}?**`);
    const tokens = await request.redeem(page.url());
    assert.equal(tokens.claims()?.sub, identity.adaId);

    // Signed in once, so the next client asks nobody.
    const gateway = await identity.relyingParty();
    const silent = await gateway.begin({ redirect_uri: callback });
    await page.goto(silent.url);
    await page.waitForURL(`${callback}?**`);
    assert.ok((await silent.redeem(page.url())).access_token);

    await page.goto(`${identity.issuer}/account`);
    assert.equal(await page.locator("h1").first().isVisible(), true);
    const leave = new URLSearchParams({
      client_id: "stranger",
      post_logout_redirect_uri: signedOut,
    });
    await page.goto(`${identity.issuer}/sign-out?${leave.toString()}`);
    await page.click("button[name=logout]");
    await page.waitForURL(signedOut);
    assert.deepEqual(await identity.server.provider.sessions.list(identity.adaId), []);
    assert.deepEqual(
      (await context.cookies(identity.issuer)).filter(({ name }) => name.includes("session")),
      [],
    );
    assert.deepEqual(complaints, []);
  });
});

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { describe, test } from "node:test";
import { systemClock, systemRandom } from "@tidegate/clock";
import { createLogger } from "@tidegate/service-kit";
import { startChromium } from "@tidegate/testkit";
import fc from "fast-check";
import { html } from "../src/pages/html.ts";
import { servePageAssets } from "../src/pages/page-assets.ts";
import { createIdentityApp, sendPage } from "../src/web/identity-app.ts";
import { createOwnOrigin, type OwnOrigin } from "../src/web/own-origin.ts";
import { pageGallery } from "./page-gallery.ts";

const require = createRequire(import.meta.url);
const AXE = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

/** Each scheme once and each size once: contrast goes by the one, layout by the other. */
const VIEWS = [
  { colorScheme: "light", viewport: { width: 360, height: 740 } },
  { colorScheme: "dark", viewport: { width: 1280, height: 800 } },
] as const;

describe("pages in Chromium", () => {
  test("have no accessibility fault and no sideways scrolling, light on a phone and dark on a desktop", async () => {
    await using server = await startGallery(pageGallery());
    await using chromium = await startChromium();
    const found: string[] = [];
    for (const { colorScheme, viewport } of VIEWS) {
      // The policy of the pages forbids scripts, the examiner's too.
      const context = await chromium.browser.newContext({
        bypassCSP: true,
        colorScheme,
        viewport,
      });
      const page = await context.newPage();
      for (const name of server.names) {
        const where = `${name}, ${colorScheme}, ${viewport.width}`;
        await page.goto(`${server.origin}/gallery/${name}`);
        await page.evaluate(
          `document.querySelectorAll("details").forEach((one) => { one.open = true; })`,
        );
        await page.evaluate(AXE);
        const { violations } = await page.evaluate<{
          violations: { id: string; nodes: { html: string; failureSummary: string }[] }[];
        }>(
          `axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] })`,
        );
        for (const { id, nodes } of violations) {
          found.push(
            `${where}: ${id}: ${nodes.map((node) => `${node.html} ${node.failureSummary}`).join("; ")}`,
          );
        }
        const overflow = await page.evaluate<number>(
          `document.documentElement.scrollWidth - document.documentElement.clientWidth`,
        );
        if (overflow > 0) found.push(`${where}: ${overflow} pixels wider than the window`);
      }
      await context.close();
    }
    assert.deepEqual(found, []);
  });

  test("keep to their own policy, and show what they need without a script", async () => {
    await using server = await startGallery(pageGallery());
    await using chromium = await startChromium();
    const context = await chromium.browser.newContext({ javaScriptEnabled: false });
    const page = await context.newPage();
    const complaints: string[] = [];
    page.on("console", (message) => complaints.push(`${message.type()}: ${message.text()}`));
    page.on("requestfailed", (request) => {
      // The next page was opened before the icon had come.
      const why = request.failure()?.errorText ?? "";
      if (why !== "net::ERR_ABORTED") complaints.push(`${why}: ${request.url()}`);
    });
    for (const name of server.names) {
      await page.goto(`${server.origin}/gallery/${name}`);
      assert.equal(await page.locator("h1").count(), 1, name);
      assert.match(await page.title(), / · Tidegate$/);
    }
    assert.deepEqual(complaints, []);
    await page.goto(`${server.origin}/gallery/register-refused`);
    const loginName = page.getByLabel("Name");
    assert.equal(await loginName.getAttribute("aria-invalid"), "true");
    assert.deepEqual((await loginName.getAttribute("aria-describedby"))?.split(" "), [
      "loginName-hint",
      "loginName-problem",
    ]);
  });

  test("Tab goes through a sign-in in the order of reading", async () => {
    await using server = await startGallery(pageGallery());
    await using chromium = await startChromium();
    const person = await chromium.newPerson();
    const page = await person.newPage();
    await page.goto(`${server.origin}/gallery/sign-in`);
    const order: string[] = [];
    for (let step = 0; step < 6; step++) {
      order.push(
        await page.evaluate<string>(
          `document.activeElement.name || document.activeElement.textContent.trim()`,
        ),
      );
      await page.keyboard.press("Tab");
    }
    assert.deepEqual(order, [
      "login",
      "password",
      "Sign in",
      "Forgot your password?",
      "Create an account",
      "Cancel",
    ]);
  });

  test("a real parser reads every text back as it was written", async () => {
    const texts = fc
      .sample(fc.string({ unit: "binary", maxLength: 40 }), 300)
      .concat([
        `</td><script>window.broken = 1</script>`,
        `" onmouseover="window.broken = 1`,
        "\r\n\0\uD800<!--",
      ]);
    const rows = texts.map(
      (text) =>
        html`<tr>
          <td title="${text}">${text}</td>
        </tr>`,
    );
    const page = `<!doctype html>${html`<html lang="en">
      <head>
        <title>x</title>
      </head>
      <body>
        <table>
          ${rows}
        </table>
      </body>
    </html>`.toString()}`;
    await using server = await startGallery({ rows: page });
    await using chromium = await startChromium();
    const tab = await (await chromium.newPerson()).newPage();
    await tab.goto(`${server.origin}/gallery/rows`);
    const shown = await tab.evaluate<[string, string][]>(
      `[...document.querySelectorAll("td")].map((cell) => [cell.title, cell.textContent])`,
    );
    assert.equal(shown.length, texts.length);
    for (const [index, [title, content]] of shown.entries()) {
      assert.equal(title, content);
      // Only what HTML cannot hold differs; a single character of it becomes U+FFFD.
      const given = Array.from(texts[index]!);
      const read = Array.from(content);
      assert.equal(read.length, given.length, JSON.stringify(texts[index]));
      for (const [at, character] of read.entries()) {
        if (character !== "\uFFFD") assert.equal(character, given[at]);
      }
    }
    assert.equal(
      await tab.evaluate(`window.broken === undefined && document.scripts.length === 0`),
      true,
    );
  });
});

/** The pages as they are served, headers and all. */
async function startGallery(pages: Readonly<Record<string, string>>) {
  const logger = createLogger({ service: "identity", level: "silent" });
  let own: OwnOrigin | undefined;
  const app = createIdentityApp({
    own: () => own!,
    trustedProxies: [],
    clock: systemClock,
    random: systemRandom,
    logger,
    probe: () => undefined,
  });
  servePageAssets(app);
  for (const [name, page] of Object.entries(pages)) {
    app.get(`/gallery/${name}`, async (_request, reply) => sendPage(reply, page));
  }
  const url = await app.listen({ host: "127.0.0.1", port: 0 });
  const port = Number(new URL(url).port);
  const origin = `http://localhost:${port}`;
  own = createOwnOrigin({ publicUrl: origin, port });
  return {
    origin,
    names: Object.keys(pages),
    async [Symbol.asyncDispose]() {
      app.server.closeAllConnections();
      await app.close();
    },
  };
}

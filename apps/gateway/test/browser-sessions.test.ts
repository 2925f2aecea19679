// Browser sessions at the real gateway, with a provider that is not ours: what works, over one thread and over workers.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { setUpSessions, SESSION, FLOW } from "./session-harness.ts";

for (const threads of [0, 2]) {
  describe(`browser sessions over ${threads} workers`, () => {
    test("a person signs in, calls, is shown, and signs out everywhere", async () => {
      await using t = await setUpSessions({ threads });
      const browser = await t.signedIn("ada");
      assert.equal(browser.cookie("localhost", FLOW), undefined);
      const secret = browser.cookie("localhost", SESSION) ?? "";
      assert.match(secret, /^[\w-]{43}$/);
      assert.equal((await t.call(browser, "/tasks/1")).status, 200);
      const shown = await t.session(browser);
      assert.equal(shown["signedIn"], true);
      assert.equal(shown["name"], "Name of ada");
      assert.equal(shown["acr"], "pwd");
      assert.ok(Math.abs(Number(shown["authTime"]) - Date.now() / 1_000) < 60);
      const expires = Number(shown["expiresInSeconds"]);
      assert.ok(expires > 28_000 && expires <= 28_800, String(expires));
      assert.deepEqual(shown["csrf"], { field: "Tidegate-CSRF", value: "1" });

      const out = await t.call(browser, "/.tidegate/sign-out", { method: "POST" });
      assert.equal(out.status, 200, out.body);
      const { location } = JSON.parse(out.body) as { location: string };
      assert.ok(location.startsWith(`${t.provider.url}/session/end?`), location);
      assert.equal(browser.cookie("localhost", SESSION), undefined);
      // The cookie is worth nothing any more, on whatever worker.
      browser.cookies.get("localhost")?.set(SESSION, secret);
      for (let calls = 0; calls < 10; calls++)
        assert.equal((await t.call(browser, "/tasks/1")).status, 401);
      assert.equal((await t.session(browser))["signedIn"], false);
      assert.deepEqual(
        t.upstream.requests.map(({ target }) => target),
        ["/open", "/tasks/1"],
      );
    });
  });
}

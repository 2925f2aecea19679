// The demo as a person meets it: sign in, two windows, sign out. The launcher runs, nothing is stood in for.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { missingProgram, startChromium, startProcess, tempFolder } from "@tidegate/testkit";

const LAUNCHER = new URL("../../../tools/start/main.ts", import.meta.url).pathname;

test(
  "a person signs in, sees in one window what is done in another, and signs out of both",
  { skip: missingProgram("chromium") },
  async () => {
    await using folder = await tempFolder();
    await using demo = await startProcess({
      args: [LAUNCHER],
      cwd: folder.path,
      env: {
        TIDEGATE_PORT: "0",
        TIDEGATE_ADMIN_PORT: "0",
        TIDEGATE_IDENTITY_PORT: "0",
        TIDEGATE_DATA: folder.file("data"),
      },
      readyWhen: "Tidegate is ready\n",
      deadlineMs: 60_000,
    });
    const url = /Gateway +(http:\/\/localhost:\d+)/.exec(demo.output())?.[1] ?? "";
    const { ada } = JSON.parse(readFileSync(folder.file("data", "demo-users.json"), "utf8")) as {
      ada: string;
    };
    await using chromium = await startChromium();
    const person = await chromium.newPerson();
    const problems: string[] = [];
    person.on("weberror", (error) => problems.push(error.error().message));
    person.on("console", (line) => {
      if (line.type() === "error") problems.push(line.text());
    });

    const first = await person.newPage();
    await first.goto(url);
    await first.getByRole("link", { name: "Sign in" }).click();
    await first.getByLabel("Name or e-mail").fill("ada");
    await first.getByLabel("Password").fill(ada);
    await first.getByRole("button", { name: "Sign in" }).click();
    await first.getByLabel("What is to be done?").fill("Feed the cat");
    assert.equal(first.url(), `${url}/`);
    await first.getByRole("button", { name: "Add" }).click();
    await first.getByLabel("Feed the cat").waitFor();
    await first.getByText("Live:").waitFor();

    const second = await person.newPage();
    await second.goto(url);
    await second.getByText("Live:").waitFor();
    await second.getByLabel("Feed the cat").check();
    await first.locator(".done", { hasText: "Feed the cat" }).waitFor();
    const hostile = '<img src=x onerror="alert(1)">';
    await first.getByLabel("What is to be done?").fill(hostile);
    await first.getByRole("button", { name: "Add" }).click();
    await second.getByLabel(hostile).waitFor();
    assert.equal(await second.locator("#list img").count(), 0);

    // No script of a page can see what the browser shows to the gateway.
    assert.equal(await first.evaluate("document.cookie"), "");
    assert.deepEqual(problems, []);

    await first.getByRole("button", { name: "Sign out" }).click();
    await first.getByText("You are signed out").waitFor();
    await second.getByText("You were signed out.").waitFor();
    assert.equal(await second.getByRole("link", { name: "Sign in" }).isVisible(), true);
    await demo.stop({ deadlineMs: 30_000 });
  },
);

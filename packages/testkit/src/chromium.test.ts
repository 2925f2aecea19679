import assert from "node:assert/strict";
import { test } from "node:test";
import { startChromium } from "./chromium.ts";
import { missingProgram } from "./missing-program.ts";
import { startUpstream } from "./upstream.ts";

test(
  "startChromium() opens a page of this machine and reaches no other",
  { skip: missingProgram("chromium") },
  async () => {
    await using upstream = await startUpstream({
      onRequest: (_request, response) => void response.end("<title>Hello</title>"),
    });
    await using chromium = await startChromium();
    const person = await chromium.newPerson();
    const page = await person.newPage();
    await page.goto(`http://localhost:${upstream.port}/`);
    assert.equal(await page.title(), "Hello");
    await assert.rejects(page.goto("http://tidegate.example/"), /ERR_NAME_NOT_RESOLVED/);
  },
);

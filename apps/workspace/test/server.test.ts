import assert from "node:assert/strict";
import { test } from "node:test";
import { startWorkspace } from "../src/server.ts";

test("startWorkspace() serves the page and what it refers to, and nothing else of the machine", async () => {
  await using server = await startWorkspace({ port: 0 });
  const page = await fetch(`${server.url}/?from=a-link`);
  assert.equal(page.status, 200);
  const text = await page.text();
  const referred = [...text.matchAll(/(?:href|src)="(\/workspace\/[^"]+)"/g)].map(
    ([, path = ""]) => path,
  );
  assert.ok(referred.length >= 3);
  for (const path of referred)
    assert.equal((await fetch(`${server.url}${path}`)).status, 200, path);
  for (const path of [
    "/package.json",
    "/workspace/",
    "/workspace/../package.json",
    "/workspace/..%2f..%2fpackage.json",
    "/workspace/%2e%2e/src/main.ts",
    "//etc/passwd",
  ])
    assert.equal((await fetch(`${server.url}${path}`)).status, 404, path);
  assert.equal((await fetch(server.url, { method: "POST" })).status, 405);
});

test("startWorkspace() lets the page run its own scripts alone, and nobody frame it", async () => {
  await using server = await startWorkspace({ port: 0 });
  for (const path of ["/", "/workspace/page.js", "/nothing"]) {
    const { headers } = await fetch(`${server.url}${path}`);
    const policy = headers.get("content-security-policy") ?? "";
    assert.match(policy, /default-src 'none'; script-src 'self'/);
    assert.match(policy, /frame-ancestors 'none'/);
    assert.doesNotMatch(policy, /unsafe|\*/);
    assert.equal(headers.get("x-content-type-options"), "nosniff");
  }
  const html = await (await fetch(server.url)).text();
  assert.doesNotMatch(html, /<script(?![^>]*src=)|<style|\son\w+=|\sstyle=/);
});

test("startWorkspace() answers 304 while the file is the same", async () => {
  await using server = await startWorkspace({ port: 0 });
  const first = await fetch(server.url);
  const etag = first.headers.get("etag") ?? "";
  const again = await fetch(server.url, { headers: { "if-none-match": `"old", ${etag}` } });
  assert.equal(again.status, 304);
  const other = await fetch(server.url, { headers: { "if-none-match": '"old"' } });
  assert.equal(other.status, 200);
});

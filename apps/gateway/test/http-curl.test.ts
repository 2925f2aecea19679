// curl through the gateway: a client that nobody here wrote.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { test } from "node:test";
import { missingProgram, startProcess, startUpstream, tempFolder } from "@tidegate/testkit";
import { startGateway } from "./http-harness.ts";

const skip = missingProgram("curl");

/** Runs curl to its end. @returns what it printed */
async function curl(...args: readonly string[]): Promise<string> {
  await using running = await startProcess({
    command: "curl",
    args: ["--silent", "--show-error", "--http1.1", "--max-time", "10", ...args],
  });
  const { code } = await running.exited();
  assert.equal(code, 0, running.output());
  return running.stdout();
}

test(
  "curl uploads a file with Expect: 100-continue, and reuses its connection",
  { skip },
  async () => {
    await using folder = await tempFolder();
    const payload = randomBytes(2_000_000);
    await writeFile(folder.file("payload"), payload);
    await using upstream = await startUpstream();
    await using gateway = await startGateway({ targets: [upstream.url] });
    const url = `http://localhost:${gateway.port}/x`;
    const upload = [
      "--header",
      "Expect: 100-continue",
      "--upload-file",
      folder.file("payload"),
      url,
    ];
    const printed = await curl(...upload, "--next", ...upload, "--next", "--head", url);
    const bodies = printed.match(/"bodyBytes":2000000/gu);
    assert.equal(bodies?.length, 2);
    assert.match(printed, /HTTP\/1\.1 200 OK\r\n/);
    assert.equal(upstream.requests.length, 3);
    for (const request of upstream.requests.slice(0, 2)) assert.deepEqual(request.body(), payload);
  },
);

test(
  "curl shows a refusal with its fields, and normalises nothing when told so",
  { skip },
  async () => {
    await using upstream = await startUpstream();
    await using gateway = await startGateway({
      targets: [upstream.url],
      routes: [{ path: "/**" }, { path: "/admin/**", methods: ["GET"] }],
    });
    const at = `http://localhost:${gateway.port}`;
    const refused = await curl("--include", "--request", "DELETE", `${at}/admin/x`);
    assert.match(refused, /^HTTP\/1\.1 405 /);
    assert.match(refused, /\r\nAllow: GET, HEAD\r\n/);
    // What is matched is what goes upstream, however the path is written.
    const around = await curl(
      "--include",
      "--path-as-is",
      "--request",
      "DELETE",
      `${at}/x/..%2fadmin/x`,
    );
    assert.match(around, /^HTTP\/1\.1 400 /);
    const dotted = await curl(
      "--include",
      "--path-as-is",
      "--request",
      "DELETE",
      `${at}/x/%2e%2e/admin/x`,
    );
    assert.match(dotted, /^HTTP\/1\.1 405 /);
    assert.equal(upstream.requests.length, 0);
  },
);

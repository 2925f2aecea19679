import assert from "node:assert/strict";
import { statSync } from "node:fs";
import { request } from "node:http";
import { fileURLToPath } from "node:url";
import { describe, test } from "node:test";
import { rawConnection, startProcess, tempFolder, type RunningProcess } from "@tidegate/testkit";

const MAIN = fileURLToPath(new URL("../src/main.ts", import.meta.url));

async function serve(env: Record<string, string>): Promise<RunningProcess & { url: string }> {
  const running = await startProcess({ args: [MAIN], env, readyWhen: "identity.listening" });
  const line = running
    .stdout()
    .split("\n")
    .find((text) => text.includes("identity.listening"));
  return Object.assign(running, { url: String(JSON.parse(line ?? "{}").url) });
}

/** The status of an answer to a request that names another host. */
async function statusFor(url: string, host: string): Promise<number | undefined> {
  const { promise, resolve, reject } = Promise.withResolvers<number | undefined>();
  request(url, { headers: { host } }, (answer) => {
    answer.resume();
    resolve(answer.statusCode);
  })
    .on("error", reject)
    .end();
  return promise;
}

describe("the process", () => {
  test("refuses what it cannot be configured with, all at once", async () => {
    await using running = await startProcess({
      args: [MAIN],
      env: {
        IDENTITY_DATA: "/nowhere",
        IDENTITY_HOST: "0.0.0.0",
        IDENTITY_URL: "http://id.example/x",
      },
    });
    const { code } = await running.exited();
    assert.equal(code, 1);
    assert.match(running.output(), /IDENTITY_HOST=0\.0\.0\.0[^]*IDENTITY_URL=http:\/\/id\.example/);
  });

  test("answers to its own names only, keeps its folder private, and stops on SIGTERM with code 0", async () => {
    await using folder = await tempFolder();
    const data = folder.file("data");
    await using running = await serve({
      IDENTITY_PORT: "0",
      IDENTITY_ADMIN_PORT: "0",
      IDENTITY_DATA: data,
    });
    assert.equal((await fetch(`${running.url}/readyz`)).status, 200);
    assert.equal(await statusFor(`${running.url}/nothing`, "evil.example"), 421);
    assert.equal(await statusFor(`${running.url}/nothing`, new URL(running.url).host), 404);
    const foreign = await fetch(`${running.url}/nothing`, {
      method: "POST",
      headers: { origin: "http://localhost:1" },
    });
    assert.equal(foreign.status, 403);
    assert.equal(statSync(data).mode & 0o777, 0o700);
    // A body that never comes: the library's server would print its stack.
    const { port } = new URL(running.url);
    await using broken = await rawConnection(Number(port));
    await broken.write(
      `POST /token HTTP/1.1\r\nHost: localhost:${port}\r\nContent-Length: 9\r\n\r\ngr`,
    );
    broken.socket.end();
    await broken.ended();
    const { code } = await running.stop();
    assert.equal(code, 0);
    assert.equal(running.stderr(), "", "everything is said by the logger");
    assert.equal(running.stdout().split("library.noticed").length, 2, "once, and explained");
  });
});

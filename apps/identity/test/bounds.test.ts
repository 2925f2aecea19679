// What strangers, broken clients and time can fill, and what holds when it is full.

import assert from "node:assert/strict";
import { once } from "node:events";
import { request as ask, type IncomingMessage } from "node:http";
import { connect, type Socket } from "node:net";
import { describe, test } from "node:test";
import { text } from "node:stream/consumers";
import { waitFor } from "@tidegate/testkit";
import * as client from "openid-client";
import { startIdentityUnderTest } from "./identity-under-test.ts";

describe("the token endpoint", () => {
  test("refuses one network beyond its share of requests under way, answers others, and recovers", async () => {
    await using identity = await startIdentityUnderTest();
    const { port } = new URL(identity.issuer);
    const from = async (localAddress: string): Promise<number | undefined> => {
      const asked = ask({ host: "127.0.0.1", port, path: "/jwks", localAddress, agent: false });
      asked.setHeader("host", `localhost:${port}`);
      asked.end();
      const [answer] = (await once(asked, "response")) as [IncomingMessage];
      await text(answer);
      if (answer.statusCode === 503) assert.equal(answer.headers["retry-after"], "1");
      return answer.statusCode;
    };
    // Bodies that never end: each request is under way until its connection goes.
    const open: Socket[] = [];
    for (let count = 0; count < 128; count++) {
      const socket = connect(Number(port), "127.0.0.1");
      socket.on("error", () => undefined);
      socket.write(
        `POST /token HTTP/1.1\r\nHost: localhost:${port}\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 99\r\n\r\ngrant`,
      );
      open.push(socket);
    }
    await waitFor(async () => (await from("127.0.0.1")) === 503, { what: "a full share" });
    assert.equal(await from("127.0.0.2"), 200);
    for (const socket of open) socket.destroy();
    await waitFor(async () => (await from("127.0.0.1")) === 200, { what: "room again" });
  });

  test("refuses a client that asks too often, before its code is spent, and nobody else", async () => {
    await using identity = await startIdentityUnderTest({
      clientRate: { perSecond: 1, burst: 2 },
    });
    const party = await identity.relyingParty();
    const browser = identity.browser();
    const tokens = await party.signIn(browser);
    const request = await party.begin();
    const { url } = await browser.open(request.url);
    // A stranger with a wrong secret spends nothing in the client's name.
    for (let count = 0; count < 5; count++) {
      const answer = await fetch(`${identity.issuer}/token`, {
        method: "POST",
        headers: { authorization: `Basic ${btoa("gateway:wrong")}` },
        body: new URLSearchParams({ grant_type: "refresh_token", refresh_token: "x" }),
      });
      assert.equal(answer.status, 401);
      await answer.body?.cancel();
    }
    const refresh = () => client.refreshTokenGrant(party.config, tokens.refresh_token ?? "");
    const refused = await waitFor(
      async () => {
        try {
          await refresh();
          return undefined;
        } catch (error) {
          return error as client.ResponseBodyError;
        }
      },
      { what: "a refusal" },
    );
    assert.equal(refused.error, "temporarily_unavailable");
    assert.equal(refused.status, 429);
    assert.equal(refused.response.headers.get("retry-after"), "1");
    const robot = await identity.relyingParty("robot");
    const granted = () => client.clientCredentialsGrant(robot.config, { scope: "tasks:read" });
    assert.ok((await granted()).access_token);
    assert.ok((await granted()).access_token);
    await assert.rejects(Promise.all([granted(), granted(), granted()]), {
      error: "temporarily_unavailable",
    });
    // The code was looked at by nobody while the client had to wait.
    const redeemed = await waitFor(
      async () => {
        try {
          return await request.redeem(url);
        } catch (error) {
          assert.equal((error as client.ResponseBodyError).error, "temporarily_unavailable");
          return undefined;
        }
      },
      { what: "the code's tokens" },
    );
    assert.ok(redeemed.access_token);
  });
});

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { PASSWORD, startIdentityUnderTest, type IdentityUnderTest } from "./identity-under-test.ts";

const SECRET = "a-secret-of-more-than-128-bits-for-tests";

async function verify(
  identity: IdentityUnderTest,
  form: Readonly<Record<string, string>>,
  client: string | undefined = `gateway:${SECRET}`,
): Promise<{
  readonly status: number;
  readonly headers: Headers;
  readonly body: Record<string, unknown>;
}> {
  const answer = await fetch(`${identity.issuer}/basic/verify`, {
    method: "POST",
    headers: {
      "content-type": "application/x-www-form-urlencoded",
      ...(client !== "" && { authorization: `Basic ${btoa(client)}` }),
    },
    body: new URLSearchParams({ address: "192.0.2.1", ...form }).toString(),
  });
  return {
    status: answer.status,
    headers: answer.headers,
    body: (await answer.json()) as Record<string, unknown>,
  };
}

describe("Basic's verification", () => {
  test("is for clients that may ask, and for nobody else", async () => {
    await using identity = await startIdentityUnderTest();
    const form = { username: "ada", password: PASSWORD };
    for (const client of [
      "",
      "gateway:wrong",
      "nobody:x",
      `page:${SECRET}`,
      `stranger:${SECRET}`,
      `robot:${SECRET}`,
    ]) {
      const { status, headers, body } = await verify(identity, form, client);
      assert.equal(status, 401, client);
      assert.match(headers.get("www-authenticate") ?? "", /^Basic realm=/);
      assert.equal("active" in body, false);
    }
    for (const bad of [
      { ...form, address: "" },
      { ...form, address: "here" },
      { username: "ada", password: "" },
    ]) {
      assert.equal((await verify(identity, bad)).status, 400);
    }
  });

  test("answers as introspection does: same issuer and subject as the tokens, its own level, no auth_time", async () => {
    await using identity = await startIdentityUnderTest();
    const { status, headers, body } = await verify(identity, {
      username: "ada",
      password: PASSWORD,
    });
    assert.equal(status, 200);
    assert.equal(headers.get("cache-control"), "no-store");
    assert.deepEqual(
      { ...body, exp: typeof body["exp"] },
      {
        active: true,
        iss: identity.issuer,
        sub: identity.adaId,
        username: "ada",
        preferred_username: "ada",
        name: "Ada Lovelace",
        client_id: "gateway",
        scope: "tasks:read tasks:write",
        acr: "urn:tidegate:acr:basic",
        amr: ["pwd"],
        token_type: "Basic",
        exp: "number",
      },
    );
  });

  test("tells a wrong password, an unknown name and a disabled person apart by nothing", async () => {
    await using identity = await startIdentityUnderTest();
    const { store } = identity.server.people;
    const grace = await store.findByLoginName("grace");
    await store.setDisabled(grace?.id ?? "", true);
    for (const [username, password] of [
      ["ada", "wrong"],
      ["nobody", "wrong"],
      ["grace", PASSWORD],
    ] as const) {
      const { status, body } = await verify(identity, { username, password });
      assert.deepEqual({ status, body }, { status: 200, body: { active: false } });
    }
  });

  test("slows down guesses per address and user, before hashing, and locks out nobody else", async () => {
    await using identity = await startIdentityUnderTest();
    let waited: number | undefined;
    for (let guess = 0; guess < 12 && waited === undefined; guess++) {
      const { status, headers } = await verify(identity, {
        username: "ada",
        password: `guess ${guess}`,
      });
      if (status === 429) waited = Number(headers.get("retry-after"));
    }
    assert.ok(waited !== undefined && waited >= 1, "guessing was never slowed down");
    const elsewhere = { username: "ada", password: PASSWORD, address: "198.51.100.7" };
    assert.equal((await verify(identity, elsewhere)).body["active"], true);
  });

  test("hashes two at a time, lets 32 wait, and tells the others to come back", async () => {
    await using identity = await startIdentityUnderTest();
    const answers = await Promise.all(
      Array.from({ length: 50 }, (_, index) =>
        verify(identity, {
          username: `nobody${index}`,
          password: "x",
          address: `192.0.2.${index}`,
        }),
      ),
    );
    const busy = answers.filter(({ status }) => status === 503);
    // Two and 32 at once; the few more are those whose turn came while others were still arriving.
    const answered = answers.filter(({ status }) => status === 200);
    assert.equal(answered.length + busy.length, 50);
    assert.ok(answered.length >= 34 && busy.length >= 1, `${answered.length} answered`);
    assert.ok(busy.every(({ headers }) => Number(headers.get("retry-after")) >= 1));
  });
});

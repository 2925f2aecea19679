// Tokens that are bound to a key of the client, at the real gateway: once over two workers, once with every challenge.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { dpopClient, issuer as startIssuer, startUpstream } from "@tidegate/testkit";
import { get, requestBytes, startGateway } from "./http-harness.ts";

const ALGORITHMS = 'algs="ES256 EdDSA"';
const INVALID =
  'Bearer realm="tidegate", error="invalid_token", error_description="The credential is expired, revoked or not valid here"';

async function setUp({ threads = 0, dpop = {} }: { threads?: number; dpop?: object } = {}) {
  await using parts = new AsyncDisposableStack();
  const provider = parts.use(await startIssuer({ algorithms: ["ES256"] }));
  const upstream = parts.use(await startUpstream());
  const gateway = parts.use(
    await startGateway({
      targets: [upstream.url],
      threads,
      identity: {
        people: { kind: "oidc", issuer: provider.url, audience: "https://api.test", dpop },
      },
      routes: [
        { path: "/tasks/**", methods: ["GET"], auth: { by: ["people"] }, websocket: {} },
        { path: "/pay", auth: { by: ["people"], scopes: ["pay"], acr: ["phr"] } },
      ],
    }),
  );
  const client = await dpopClient();
  const token = await provider.mint({ cnf: { jkt: client.thumbprint } });
  const prove = (path: string, claims: Record<string, unknown> = {}) =>
    client.prove({ token, htu: `http://localhost:${gateway.port}${path}` }, claims);
  const host = `Host: localhost:${gateway.port}`;
  const ask = (path: string, ...fields: string[]) => gateway.ask(get(path, [host, ...fields]));
  const challenges = async (path: string, ...fields: string[]) => {
    const answer = await ask(path, ...fields);
    const values = answer.fields
      .filter(([name]) => name.toLowerCase() === "www-authenticate")
      .map(([, value]) => value);
    return [answer.status, ...values];
  };
  const owned = parts.move();
  return {
    provider,
    upstream,
    gateway,
    token,
    prove,
    ask,
    host,
    challenges,
    shown: `Authorization: DPoP ${token}`,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

describe("DPoP at the gateway", () => {
  test("a bound token is worth nothing without its proof; each refusal has its challenge", async () => {
    await using t = await setUp();
    const refused = [401, `DPoP error="invalid_token", ${ALGORITHMS}`];
    // Stolen, and shown as a plain bearer token.
    assert.deepEqual(await t.challenges("/tasks/1", `Authorization: Bearer ${t.token}`), [
      401,
      INVALID,
      `DPoP error="invalid_token", ${ALGORITHMS}`,
    ]);
    assert.deepEqual(await t.challenges("/tasks/1", t.shown), refused);
    const other = await t.prove("/tasks/2");
    assert.deepEqual(await t.challenges("/tasks/1", t.shown, `DPoP: ${other}`), refused);
    const post = await t.prove("/tasks/1", { htm: "POST" });
    assert.deepEqual(await t.challenges("/tasks/1", t.shown, `DPoP: ${post}`), refused);
    const twice = [`DPoP: ${await t.prove("/tasks/1")}`, `DPoP: ${await t.prove("/tasks/1")}`];
    assert.deepEqual(await t.challenges("/tasks/1", t.shown, ...twice), refused);
    const proof = `DPoP: ${await t.prove("/tasks/1")}`;
    // The proof itself as a token, and a token that is not bound.
    const asToken = proof.replace("DPoP: ", "Authorization: Bearer ");
    assert.equal((await t.ask("/tasks/1", asToken)).status, 401);
    const plain = `Authorization: DPoP ${await t.provider.mint()}`;
    assert.deepEqual(await t.challenges("/tasks/1", plain, proof), refused);
    const certificate = await t.provider.mint({ cnf: { "x5t#S256": "x" } });
    assert.deepEqual(await t.challenges("/tasks/1", `Authorization: Bearer ${certificate}`), [
      401,
      INVALID,
    ]);
    await t.gateway.loggedAtLeast("issuer.unsupported", 1);
    assert.equal(t.upstream.requests.length, 0);

    assert.equal((await t.ask("/tasks/1", t.shown, proof)).status, 200);
    assert.deepEqual(await t.challenges("/tasks/1", t.shown, proof), refused);
    assert.deepEqual(t.upstream.requests[0]?.values("dpop"), []);
    // A level that lacks is asked for in the scheme of the caller.
    const pay = `DPoP: ${await t.prove("/pay")}`;
    assert.deepEqual(await t.challenges("/pay", t.shown, pay), [
      401,
      `DPoP realm="tidegate", error="insufficient_user_authentication", error_description="A stronger or fresher sign-in is needed", acr_values="phr", scope="pay", ${ALGORITHMS}`,
    ]);
  });

  test("a handshake is proved as a GET of its address in http", async () => {
    await using t = await setUp();
    const handshake = (proof: string) =>
      t.ask(
        "/tasks/live",
        t.shown,
        `DPoP: ${proof}`,
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
      );
    const htu = `ws://localhost:${t.gateway.port}/tasks/live`;
    assert.equal((await handshake(await t.prove("/tasks/live", { htu }))).status, 401);
    const proof = await t.prove("/tasks/live");
    assert.equal((await handshake(proof)).status, 101);
    assert.equal((await handshake(proof)).status, 401);
  });

  test("a nonce is asked for, given, and taken", async () => {
    await using t = await setUp({ dpop: { nonce: true } });
    const first = await t.ask("/tasks/1", t.shown, `DPoP: ${await t.prove("/tasks/1")}`);
    assert.equal(first.status, 401);
    assert.equal(first.field("www-authenticate"), `DPoP error="use_dpop_nonce", ${ALGORITHMS}`);
    const nonce = first.field("dpop-nonce");
    assert.match(nonce ?? "", /^[\w-]{43}$/);
    const proof = await t.prove("/tasks/1", { nonce });
    assert.equal((await t.ask("/tasks/1", t.shown, `DPoP: ${proof}`)).status, 200);
  });

  test("where a proof is required, a plain token is refused", async () => {
    await using t = await setUp({ dpop: { required: true } });
    assert.deepEqual(await t.challenges("/tasks/1"), [401, `DPoP realm="tidegate", ${ALGORITHMS}`]);
    const plain = `Authorization: Bearer ${await t.provider.mint()}`;
    assert.deepEqual(await t.challenges("/tasks/1", plain), [
      401,
      INVALID,
      `DPoP error="invalid_token", ${ALGORITHMS}`,
    ]);
    const proof = `DPoP: ${await t.prove("/tasks/1")}`;
    assert.equal((await t.ask("/tasks/1", t.shown, proof)).status, 200);
  });

  test("a proof counts once over two workers", async () => {
    await using t = await setUp({ threads: 2 });
    const statuses: number[][] = [];
    for (let round = 0; round < 6; round++) {
      const proof = await t.prove("/tasks/1");
      const fields = [t.host, t.shown, `DPoP: ${proof}`, "Connection: close"];
      // The kernel spreads connections; sixteen at once reach both workers.
      const answers = await Promise.all(
        Array.from({ length: 16 }, () =>
          t.gateway.ask(requestBytes("GET /tasks/1 HTTP/1.1", fields)),
        ),
      );
      statuses.push(answers.map(({ status }) => status));
    }
    for (const round of statuses) {
      assert.ok(round.filter((status) => status === 200).length <= 1, String(round));
      assert.ok(
        round.every((status) => status === 200 || status === 401),
        String(round),
      );
    }
    assert.ok(statuses.flat().filter((status) => status === 200).length >= 4);
  });
});

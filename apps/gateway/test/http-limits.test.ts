// Limits on requests as clients meet them: the fields, all or nothing, and what comes back after a refusal.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { readAnswer, startUpstream, waitFor, type RawAnswer } from "@tidegate/testkit";
import { bucket, perHour, window } from "../src/config/define.ts";
import { get, readProblem, requestBytes, startGateway } from "./http-harness.ts";

const chunk = (text: string): string => `${text.length.toString(16)}\r\n${text}\r\n`;
const post = (body: string, fields: readonly string[] = []): string =>
  requestBytes("POST /x HTTP/1.1", [`Content-Length: ${body.length}`, ...fields], body);

/** `RateLimit` as name → {r, t}: a structured field list of quoted strings with parameters (RFC 9651). */
function readLimits(
  answer: RawAnswer,
  field = "ratelimit",
): Record<string, Record<string, number>> {
  const text = answer.field(field) ?? "";
  const limits: Record<string, Record<string, number>> = {};
  for (const member of text === "" ? [] : text.split(", ")) {
    const match = /^"([^"]+)"((?:;[a-z]+=(?:\d+|"[^"]*"))*)$/.exec(member);
    assert.ok(match !== null, `not a structured field: ${member}`);
    const parameters = [...(match[2] ?? "").matchAll(/;([a-z]+)=(\d+)/g)];
    limits[match[1] ?? ""] = Object.fromEntries(
      parameters.map(([, key, value]) => [key, Number(value)]),
    );
  }
  return limits;
}

describe("a limit that is used up", () => {
  test("is a 429 with Retry-After, RateLimit-Policy, RateLimit and the names of the violated policies", async () => {
    await using upstream = await startUpstream();
    await using gateway = await startGateway({
      targets: [upstream.url],
      routes: [
        {
          path: "/**",
          limits: [
            { ...window({ limit: 2, seconds: 60, per: "user" }), name: "few" },
            { ...bucket({ rate: perHour(3_600), burst: 100, per: "address" }), name: "many" },
          ],
        },
      ],
    });
    const first = await gateway.ask(get("/x"));
    assert.equal(first.status, 200);
    assert.deepEqual(readLimits(first, "ratelimit-policy")["few"], { q: 2, w: 60 });
    assert.equal(readLimits(first)["few"]?.["r"], 1);
    assert.equal(readLimits(first)["many"]?.["r"], 99);
    const second = await gateway.ask(get("/x"));
    assert.equal(readLimits(second)["few"]?.["r"], 0);
    const refused = await gateway.ask(get("/x"));
    assert.equal(refused.status, 429);
    const problem = readProblem(refused);
    assert.match(problem.type, /\/quota-exceeded$/);
    assert.deepEqual(problem["violated-policies"], ["few"]);
    const retryAfter = Number(refused.field("retry-after"));
    const few = readLimits(refused)["few"];
    assert.equal(few?.["r"], 0);
    assert.ok(retryAfter >= Number(few?.["t"]) || retryAfter >= 1);
    assert.ok(retryAfter >= 55 && retryAfter < 120, `Retry-After ${retryAfter}`);
    assert.equal(upstream.requests.length, 2);
  });

  test("charges all limits of a stage or none", async () => {
    await using upstream = await startUpstream();
    await using gateway = await startGateway({
      targets: [upstream.url],
      routes: [
        {
          path: "/**",
          limits: [
            { ...window({ limit: 10, seconds: 60, per: "user" }), name: "wide" },
            { ...window({ limit: 1, seconds: 60, per: "route" }), name: "narrow" },
          ],
        },
      ],
    });
    assert.equal((await gateway.ask(get("/x"))).status, 200);
    for (let time = 0; time < 5; time++) {
      const refused = await gateway.ask(get("/x"));
      assert.equal(refused.status, 429);
      assert.deepEqual(readProblem(refused)["violated-policies"], ["narrow"]);
      assert.equal(readLimits(refused)["wide"]?.["r"], 9, "a refusal was charged");
    }
  });
});

describe("a call that is refused after its principal was charged", () => {
  const routes = [
    {
      path: "/**",
      maxBodyBytes: 10,
      limits: [
        { ...window({ limit: 3, seconds: 60, per: "user" as const }), name: "user" },
        { ...window({ limit: 100, seconds: 60, per: "address" as const }), name: "address" },
      ],
    },
  ];

  test("gets its principal's budget back, never its address's: a declared body too large", async () => {
    await using upstream = await startUpstream();
    await using gateway = await startGateway({ targets: [upstream.url], routes });
    for (let time = 0; time < 10; time++)
      assert.equal((await gateway.ask(post("x".repeat(11)))).status, 413);
    const answer = await gateway.ask(post("fine"));
    assert.equal(answer.status, 200);
    assert.equal(readLimits(answer)["user"]?.["r"], 2);
    assert.equal(readLimits(answer)["address"]?.["r"], 89);
  });

  test("the same for a chunked body that turns out too large", async () => {
    await using upstream = await startUpstream({
      onRequest: (request, response) => void request.message.on("end", () => response.end("ok")),
    });
    await using gateway = await startGateway({ targets: [upstream.url], routes });
    for (let time = 0; time < 5; time++) {
      const bytes = requestBytes(
        "POST /x HTTP/1.1",
        ["Transfer-Encoding: chunked"],
        `${chunk("x".repeat(8))}${chunk("x".repeat(8))}0\r\n\r\n`,
      );
      assert.equal((await gateway.ask(bytes)).status, 413);
    }
    const good = requestBytes(
      "POST /x HTTP/1.1",
      ["Transfer-Encoding: chunked"],
      `${chunk("xx")}0\r\n\r\n`,
    );
    const answer = await gateway.ask(good);
    assert.equal(answer.status, 200);
    assert.equal(readLimits(answer)["user"]?.["r"], 2);
  });

  test("a call that was forwarded stays charged, whatever became of it", async () => {
    await using upstream = await startUpstream({ onRequest: () => undefined });
    await using gateway = await startGateway({
      targets: [upstream.url],
      upstream: { firstByteTimeoutMs: 50 },
      routes,
    });
    const failed = await gateway.ask(get("/x"));
    assert.equal(failed.status, 504);
    const client = await gateway.connect();
    await client.write(get("/x"));
    await upstream.requestAt(1);
    client.reset();
    await gateway.loggedAtLeast("request", 2);
    assert.equal((await gateway.ask(get("/x"))).status, 504);
    assert.equal((await gateway.ask(get("/x"))).status, 429);
  });
});

describe("byte costs", () => {
  const routes = [
    {
      path: "/**",
      limits: [
        {
          ...bucket({ rate: perHour(60), burst: 1_000, per: "user" as const }),
          cost: "byte" as const,
          name: "bytes",
        },
      ],
    },
  ];

  test("a declared body is charged whole before a byte of it goes upstream", async () => {
    await using upstream = await startUpstream();
    await using gateway = await startGateway({ targets: [upstream.url], routes });
    const answer = await gateway.ask(post("x".repeat(600)));
    assert.equal(answer.status, 200);
    assert.equal(readLimits(answer)["bytes"]?.["r"], 400);
    const refused = await gateway.ask(post("x".repeat(600)));
    assert.deepEqual([refused.status, readProblem(refused)["violated-policies"]], [429, ["bytes"]]);
    assert.equal((await gateway.ask(post("x".repeat(400)))).status, 200);
    assert.equal(upstream.requests.length, 2);
  });

  test("a body that costs more than the limit can hold is a 413 that no waiting helps", async () => {
    await using upstream = await startUpstream();
    await using gateway = await startGateway({ targets: [upstream.url], routes });
    const refused = await gateway.ask(post("x".repeat(1_001)));
    assert.equal(refused.status, 413);
    assert.match(readProblem(refused).type, /\/impossible-cost$/);
    assert.equal(refused.field("retry-after"), undefined);
  });

  test("a chunked body is charged as it comes, and cut when the budget is used up", async () => {
    await using upstream = await startUpstream({ onRequest: () => undefined });
    await using gateway = await startGateway({ targets: [upstream.url], routes });
    await using client = await gateway.connect();
    await client.write(requestBytes("POST /x HTTP/1.1", ["Transfer-Encoding: chunked"]));
    await client.write(chunk("x".repeat(800)));
    const request = await upstream.requestAt(0);
    await waitFor(() => request.body().length === 800, { what: "the part upstream" });
    await client.write(chunk("x".repeat(800)));
    const answer = await readAnswer(client);
    assert.deepEqual([answer.status, readProblem(answer)["violated-policies"]], [429, ["bytes"]]);
    await waitFor(() => request.state() === "cut", { what: "the cut upstream" });
  });
});

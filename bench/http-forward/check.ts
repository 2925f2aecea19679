import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { waitFor } from "@tidegate/testkit";
import type { Contender } from "../harness/contender.ts";
import { oneAnswer } from "../harness/one-answer.ts";
import { BODY } from "../harness/upstream-body.ts";
import { OURS, type Contenders } from "./contenders.ts";
import { getRequest } from "./requests.ts";

const LIMITING = new Set([OURS, "haproxy-limit", "haproxy-limit-rs256", "nginx-limit"]);
const IDENTIFYING = new Set([OURS, "haproxy-limit-rs256"]);

/**
 * Compares before anything is timed: everybody answers the same bytes; whoever claims a limit refuses over it; whoever
 * claims identity refuses a forged token; ours sends an assertion and writes a line per request.
 * @throws {AssertionError} with the name of who failed
 */
export async function checkContenders(contenders: Contenders, token: string): Promise<void> {
  for (const contender of contenders.all) {
    const answer = await oneAnswer(contender.port, getRequest("/check", token));
    assert.equal(answer.status, 200, contender.name);
    assert.deepEqual(answer.body, BODY, contender.name);
    assert.equal(answer.field("content-length"), "64", contender.name);
    assert.equal(answer.field("content-type"), "application/octet-stream", contender.name);
    if (LIMITING.has(contender.name)) await checkLimit(contender, token);
    if (IDENTIFYING.has(contender.name)) await checkIdentity(contender, token);
    if (contender.name === OURS) await checkOurs(contender, contenders.logFile, token);
  }
}

async function checkLimit(contender: Contender, token: string): Promise<void> {
  const statuses: number[] = [];
  for (let count = 0; count < 4; count += 1) {
    statuses.push((await oneAnswer(contender.port, getRequest("/limited", token))).status);
  }
  assert.equal(statuses.at(-1), 429, `${contender.name} limits: ${statuses.join(" ")}`);
}

async function checkIdentity(contender: Contender, token: string): Promise<void> {
  const [head = "", payload = "", signature = ""] = token.split(".");
  const flipped = (signature.startsWith("A") ? "B" : "A") + signature.slice(1);
  const none = Buffer.from('{"alg":"none","typ":"at+jwt"}').toString("base64url");
  const forged = [
    undefined,
    "x",
    `${head}.${payload}.${flipped}`,
    `${none}.${payload}.`,
    `${head}.${payload}.`,
  ];
  for (const one of forged) {
    const { status } = await oneAnswer(contender.port, getRequest("/check", one));
    assert.equal(status, 401, `${contender.name} and ${one ?? "no token"}`);
  }
}

async function checkOurs(contender: Contender, logFile: string, token: string): Promise<void> {
  const seen = await oneAnswer(contender.port, getRequest("/inspect", token));
  const head = seen.body.toString("latin1");
  assert.match(head, /^tidegate-assertion: [\w-]+\.[\w-]+\.[\w-]+\r$/im);
  assert.match(head, /^traceparent: 00-/im);
  assert.doesNotMatch(head, /^authorization:/im);
  await waitFor(async () => (await requestLines(logFile)) >= 3, {
    what: "lines in the access log",
  });
}

/** How many requests the access log tells of. */
export async function requestLines(logFile: string): Promise<number> {
  return (await readFile(logFile, "utf8")).split('"event":"request"').length - 1;
}

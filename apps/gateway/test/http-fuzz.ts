// Bytes that nobody should send, in both directions, against a gateway that runs. A seed makes every run again.

import assert from "node:assert/strict";
import type { Socket } from "node:net";
import { rawConnection, startRawServer, waitFor, type RawConnection } from "@tidegate/testkit";
import { get, startGateway } from "./http-harness.ts";

/** Nothing of the gateway's own may take longer than this under fuzz; what waits longer hangs. */
const HANG_MS = 8_000;

/** A small generator of numbers (mulberry32), because a run must be repeatable from its seed. */
export function numbersFrom(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

const METHODS = ["GET", "POST", "PUT", "HEAD", "OPTIONS", "DELETE", "TRACE", "CONNECT", "get", "X"];
const TARGETS = [
  "/",
  "/a",
  "/a/../b",
  "//x",
  "*",
  "/%2e%2e/",
  "/a;b",
  "/\xff",
  "http://localhost/a",
];
const BAD_ENDS = ["\n", "\r", "\r\n ", "\0\r\n"];
const FIELDS = [
  "Host: localhost",
  "Host: localhost",
  "Host: evil.example",
  "Content-Length: 3",
  "Content-Length: 0",
  "Content-Length: 99999999999999999999",
  "Content-Length : 3",
  "Transfer-Encoding: chunked",
  "Transfer-Encoding: gzip, chunked",
  "Connection: close",
  "Connection: keep-alive",
  "Connection: Upgrade",
  "Connection: x, content-length",
  "Upgrade: websocket",
  "Sec-WebSocket-Version: 13",
  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
  "Expect: 100-continue",
  "TE: trailers",
  "X: y",
  "Cookie: a=b",
  "tidegate_assertion: forged",
];
const BODIES = [
  "",
  "",
  "abc",
  "3\r\nabc\r\n0\r\n\r\n",
  "0\r\n\r\n",
  "3\r\nab",
  "ffffffffff\r\n",
  "0\r\nX: y\r\n\r\n",
];
const ANSWERS = [
  "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
  "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX: y\r\n\r\n",
  "HTTP/1.1 103 Early\r\nLink: </a>\r\n\r\nHTTP/1.1 204 No\r\n\r\n",
  "HTTP/1.0 200 OK\r\n\r\nuntil the end",
  "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
  "HTTP/1.1 304 Same\r\nETag: x\r\n\r\n",
];

function someRequest(pick: (below: number) => number): string {
  const one = <T>(list: readonly T[]): T => list[pick(list.length)] as T;
  const end = (): string => (pick(40) === 0 ? one(BAD_ENDS) : "\r\n");
  const method = pick(3) === 0 ? one(METHODS) : "GET";
  let text = `${method} ${pick(2) === 0 ? one(TARGETS) : "/a"} HTTP/1.${pick(8) === 0 ? "0" : "1"}${end()}`;
  if (pick(10) > 0) text += `Host: localhost${end()}`;
  // Half of them with a body that is framed well, so that what breaks is what comes behind it.
  const framing = pick(6);
  if (framing === 0) text += "Content-Length: 3\r\n";
  if (framing === 1) text += "Transfer-Encoding: chunked\r\n";
  for (let count = pick(3); count > 0; count--) text += one(FIELDS) + end();
  const body = framing === 0 ? "abc" : framing === 1 ? "3\r\nabc\r\n0\r\n\r\n" : "";
  return `${text}\r\n${pick(6) === 0 ? one(BODIES) : body}`;
}

function mutate(text: string, pick: (below: number) => number): string {
  const bytes = Buffer.from(text, "latin1");
  for (let count = pick(3); count > 0 && bytes.length > 0; count--)
    bytes[pick(bytes.length)] =
      pick(4) === 0 ? pick(256) : ("\r\n :;0\0/".charCodeAt(pick(8)) ?? 0);
  return bytes.toString("latin1");
}

export interface FuzzResult {
  readonly rounds: number;
  readonly answered: number;
  readonly reachedUpstream: number;
}

/**
 * Sends `rounds` connections of bad requests to a gateway whose upstream answers badly too.
 * @throws {Error} when the gateway hangs, dies, leaves something behind, or forwards what it should not
 */
export async function fuzzHttp({
  seed,
  rounds,
  threads,
}: {
  seed: number;
  rounds: number;
  threads: number;
}): Promise<FuzzResult> {
  const pick = numbersFrom(seed);
  const heads: string[] = [];
  await using upstream = await startRawServer((socket: Socket) => {
    let pending = "";
    let head: string | undefined;
    socket.on("end", () => socket.end());
    socket.on("data", (bytes: Buffer) => {
      pending += bytes.toString("latin1");
      for (;;) {
        if (head === undefined) {
          const headEnd = pending.indexOf("\r\n\r\n") + 4;
          if (headEnd < 4) return;
          head = pending.slice(0, headEnd);
          pending = pending.slice(headEnd);
          heads.push(head);
          answerBadly(socket, pick);
        }
        const end = bodyEnd(head, pending);
        if (end < 0) return;
        pending = pending.slice(end);
        head = undefined;
      }
    });
  });
  await using gateway = await startGateway({
    targets: [upstream.url],
    threads,
    upstream: { firstByteTimeoutMs: 300, idleTimeoutMs: 300, totalTimeoutMs: 600 },
    listen: { headerTimeoutMs: 400, idleTimeoutMs: 400 },
    routes: [
      { path: "/**", maxBodyBytes: 100_000 },
      { path: "/a", methods: ["GET", "POST"], websocket: {} },
    ],
  });
  let answered = 0;
  const AT_ONCE = 96;
  for (let done = 0; done < rounds; done += AT_ONCE) {
    const batch = Array.from({ length: Math.min(AT_ONCE, rounds - done) }, () => {
      const requests = Array.from({ length: 1 + pick(3) }, () =>
        pick(3) === 0 ? mutate(someRequest(pick), pick) : someRequest(pick),
      );
      return { text: requests.join(""), cut: pick(200), leave: pick(4) };
    });
    const outcomes = await Promise.all(
      batch.map(async ({ text, cut, leave }) => {
        await using client = await rawConnection(gateway.port);
        await send(client, text.slice(0, cut));
        await send(client, text.slice(cut));
        if (leave === 0) client.reset();
        else if (leave === 1) client.halfClose();
        await waitFor(() => client.ending(), {
          what: `the end of a connection that sent ${JSON.stringify(text)}`,
          deadlineMs: HANG_MS,
        });
        return client.received().toString("latin1");
      }),
    );
    for (const answer of outcomes) {
      if (answer !== "") answered++;
      assert.match(answer, /^(?:HTTP\/1\.1 \d{3} |$)/, "not an answer");
    }
  }
  assert.ok(
    heads.length > rounds / 10,
    `only ${heads.length} requests were good enough to be forwarded`,
  );
  for (const head of heads) checkForwarded(head);
  const health = await gateway.ask(get("/healthz"));
  assert.equal(health.status, 200);
  await gateway.gateway.stop("fuzzed");
  assert.deepEqual(await gateway.logged("defect.found"), []);
  const [line] = await gateway.loggedAtLeast("gateway.stopped", 1);
  assert.equal(line?.["requestsCut"], 0, "a request was left in flight");
  return { rounds, answered, reachedUpstream: heads.length };
}

/** Writes an answer, often a broken one, in two pieces. */
function answerBadly(socket: Socket, pick: (below: number) => number): void {
  const answer = ANSWERS[pick(ANSWERS.length)] as string;
  const isMutated = pick(2) === 0;
  const text = isMutated ? mutate(answer, pick) : answer;
  const cut = pick(text.length + 1);
  socket.write(text.slice(0, cut), "latin1");
  setImmediate(() => {
    if (socket.writable) socket.write(text.slice(cut), "latin1");
    if (isMutated || pick(3) === 0) socket.end();
  });
}

/** Where the body of a forwarded request ends in what came behind its head; -1 while it is not whole. */
function bodyEnd(head: string, behind: string): number {
  const length = Number(/\r\ncontent-length: (\d+)/i.exec(head)?.[1] ?? 0);
  if (!/\r\ntransfer-encoding: chunked/i.test(head)) return behind.length < length ? -1 : length;
  // Chunk by chunk: what a chunk holds may itself look like a last chunk and a request behind it.
  let at = 0;
  for (;;) {
    const size = /^([0-9a-f]+)\r\n/i.exec(behind.slice(at, at + 20));
    if (size === null) return -1;
    at += size[0].length;
    const bytes = Number.parseInt(size[1] as string, 16);
    if (bytes === 0) break;
    at += bytes + 2;
  }
  const end = `\r\n${behind.slice(at)}`.indexOf("\r\n\r\n");
  return end < 0 ? -1 : at + end + 2;
}

/** Whatever came in, what goes out is one well-formed request that says who is calling exactly once. */
function checkForwarded(head: string): void {
  const [line = "", ...fields] = head.slice(0, -4).split("\r\n");
  assert.match(line, /^[A-Z-]+ \/(?!\/)[!-~]* HTTP\/1\.1$/);
  assert.doesNotMatch(line, /\/\.\.?(?:\/|\?| )/);
  const names = fields.map((field) => {
    const match = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+): ?([\t\x20-\x7e\x80-\xff]*)$/.exec(field);
    assert.ok(match !== null, `not a field: ${JSON.stringify(field)}`);
    // A mutated name may be anybody's; only as the gateway's own would the value be believed.
    const isOwn = /^tidegate[-_]/i.test(match[1] as string);
    assert.ok(!isOwn || match[2] !== "forged", `a stranger wrote ${field}`);
    return (match[1] as string).toLowerCase();
  });
  const count = (name: string): number => names.filter((one) => one === name).length;
  for (const name of ["host", "tidegate-assertion", "x-forwarded-for", "traceparent"])
    assert.equal(
      count(name),
      1,
      `${name} is there ${count(name)} times in ${JSON.stringify(head)}`,
    );
  assert.ok(count("content-length") + count("transfer-encoding") <= 1, head);
}

async function send(client: RawConnection, text: string): Promise<void> {
  // The gateway may have ended the connection already, which is its good right.
  await client.write(text).catch(() => undefined);
}

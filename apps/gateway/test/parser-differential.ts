// The parser of requests beside the platform's, on the same bytes.

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type IncomingMessage } from "node:http";
import { connect, type AddressInfo } from "node:net";
import fc from "fast-check";
import {
  goodRequest,
  latin1,
  MAX_HEADER_BYTES,
  nearlyGood,
  parse,
  type Read,
} from "../src/accept/request-parser-fixture.ts";

/**
 * Asks both for `runs` requests. What the platform refuses must be refused, what both take must be read alike, and
 * what is refused by us alone must be on the list.
 */
export async function compareParsers(runs: number): Promise<void> {
  const seen: Read[] = [];
  let isRefused = false;
  const server = createServer(
    { requireHostHeader: false, maxHeaderSize: MAX_HEADER_BYTES, keepAliveTimeout: 1 },
    (request: IncomingMessage, response) => {
      const { method = "", url = "", httpVersion, rawHeaders } = request;
      const read: Read = {
        method,
        target: url,
        httpVersion,
        fields: rawHeaders,
        body: "",
        trailers: undefined,
      };
      seen.push(read);
      request.setEncoding("latin1");
      request.on("data", (text: string) => (read.body += text));
      request.on("end", () => {
        read.trailers = request.rawTrailers;
        response.end();
      });
      request.on("error", () => undefined);
    },
  );
  server.on("clientError", (_, socket) => {
    isRefused = true;
    socket.destroy();
  });
  server.on("connect", (_, socket) => socket.destroy());
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  await using _ = server;
  const { port } = server.address() as AddressInfo;

  /** Taken by the platform, refused by us. */
  const stricter = new Map<string, number>();
  await fc.assert(
    fc.asyncProperty(fc.oneof(goodRequest, nearlyGood, nearlyGood), async (text) => {
      const bytes = latin1(text);
      const ours = parse(bytes);
      seen.length = 0;
      isRefused = false;
      await askPlatform(port, bytes);
      const whole = ours.requests.filter(({ trailers }) => trailers !== undefined);
      if (ours.flaw !== undefined) {
        if (!isRefused) stricter.set(ours.flaw, (stricter.get(ours.flaw) ?? 0) + 1);
        return;
      }
      // What is not whole yet we wait for; nothing was taken for a request.
      assert.ok(
        !isRefused || ours.isOpen,
        `the platform refuses what we take: ${JSON.stringify(text)}`,
      );
      if (!isRefused && whole.length === ours.requests.length)
        assert.deepEqual(
          whole,
          seen.filter(({ trailers }) => trailers !== undefined),
        );
    }),
    { numRuns: runs },
  );
  for (const why of stricter.keys())
    assert.ok(STRICTER.has(why), `refused by us alone: ${why} (${stricter.get(why)} times)`);
}

// The list of what we refuse and the platform does not. A new entry is a decision, not an accident.
const STRICTER: ReadonlySet<string> = new Set([
  // Spoken as 0.9 or 2.0 by the platform, which frames them as it likes.
  "Only HTTP/1.1 and HTTP/1.0 are spoken",
  // The platform leaves out any number of empty lines, ended in any way, before a request.
  "Empty lines come before the request",
  "A line ends without CR",
  "The bytes are not HTTP/1.1",
  // It takes other letters.
  "Transfer-Encoding is not exactly chunked",
  "HTTP/1.0 has no Transfer-Encoding",
  "Odd blanks beside what frames the body",
  "A trailer frames a body",
  "A chunk has no valid size",
]);

/** Sends the bytes of one request and waits until the platform has dealt with them. */
async function askPlatform(port: number, bytes: Buffer): Promise<void> {
  const socket = connect(port, "127.0.0.1");
  socket.on("error", () => undefined);
  socket.resume();
  await once(socket, "connect");
  socket.end(bytes);
  await once(socket, "close");
}

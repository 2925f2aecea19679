import assert from "node:assert/strict";
import { isUtf8 } from "node:buffer";
import { createServer, type Server } from "node:http";
import { connect, type AddressInfo, type Socket } from "node:net";
import { once } from "node:events";
import { describe, test } from "node:test";
import * as fc from "fast-check";
import { WebSocketServer, type WebSocket } from "ws";
import { FRAME_VERDICT, FrameWalker } from "./frame-walker.ts";
import {
  closePayload,
  frame,
  spoiltFrames,
  writeFrame,
  type FrameSpec,
} from "./frames.arbitrary.ts";
import { OPCODE } from "./opcode.ts";

const MAX_MESSAGE_BYTES = 66_000;

/** What a reader of the bytes made of them. */
interface Reading {
  /** Whole messages and control frames, in order: opcode and payload as hexadecimal. */
  readonly messages: readonly string[];
  readonly isRefused: boolean;
}

/** A `ws` server that hands out each accepted connection, with the raw socket that a test writes to. */
class WsReader implements AsyncDisposable {
  readonly #http: Server;
  readonly #server: WebSocketServer;

  private constructor(http: Server) {
    this.#http = http;
    this.#server = new WebSocketServer({
      server: http,
      maxPayload: MAX_MESSAGE_BYTES,
      perMessageDeflate: false,
      autoPong: false,
    });
  }

  static async open(): Promise<WsReader> {
    const http = createServer();
    const reader = new WsReader(http);
    http.listen(0, "127.0.0.1");
    await once(http, "listening");
    return reader;
  }

  /** Reads `bytes` as a client's frames, through a real connection that ends behind them. */
  async read(bytes: Buffer): Promise<Reading> {
    const accepted = once(this.#server, "connection") as Promise<[WebSocket]>;
    const socket = connect((this.#http.address() as AddressInfo).port, "127.0.0.1");
    socket.on("error", () => {}); // a refused reading may end in a reset
    socket.write(
      "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
    );
    const [[webSocket]] = await Promise.all([accepted, once(socket, "connect")]);
    return collect(webSocket, socket, bytes);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close();
    this.#http.close();
    await once(this.#http, "close");
  }
}

async function collect(webSocket: WebSocket, socket: Socket, bytes: Buffer): Promise<Reading> {
  const messages: string[] = [];
  let isRefused = false;
  const note = (opcode: number, payload: Buffer) => {
    messages.push(`${opcode}:${payload.toString("hex")}`);
  };
  webSocket.on("message", (data, isBinary) => {
    note(isBinary ? OPCODE.binary : OPCODE.text, data as Buffer);
  });
  webSocket.on("ping", (data) => note(OPCODE.ping, data));
  webSocket.on("pong", (data) => note(OPCODE.pong, data));
  webSocket.on("error", () => {
    isRefused = true;
  });
  const { promise: closed, resolve } = Promise.withResolvers<{ code: number; reason: Buffer }>();
  webSocket.on("close", (code, reason) => resolve({ code, reason }));
  socket.end(bytes);
  socket.resume();
  const { code, reason } = await closed;
  // 1006 is told when the connection ended without a close frame, which is how an open sequence ends here.
  if (!isRefused && code !== 1006) {
    note(OPCODE.close, code === 1005 ? Buffer.alloc(0) : closePayload(code, reason));
  }
  socket.destroy();
  return { messages, isRefused };
}

/** The same through our walker. It tells frames and not messages, so payloads are put together here. */
function readByWalker(frames: readonly FrameSpec[]): Reading {
  const messages: string[] = [];
  let index = 0;
  let parts: Buffer[] = [];
  const walker = new FrameWalker(
    {
      judge({ opcode, messageOpcode, isFinal }) {
        const { payload } = frames[index++]!;
        if (opcode >= OPCODE.close) {
          messages.push(`${opcode}:${payload.toString("hex")}`);
          return FRAME_VERDICT.pass;
        }
        parts.push(payload);
        if (isFinal) {
          messages.push(`${messageOpcode}:${Buffer.concat(parts).toString("hex")}`);
          parts = [];
        }
        return FRAME_VERDICT.pass;
      },
      pass() {},
    },
    {
      from: "client",
      isDeflateNegotiated: false,
      maxMessageBytes: MAX_MESSAGE_BYTES,
      maxFragments: 1_000,
    },
  );
  walker.walk(Buffer.concat(frames.map(writeFrame)), 0);
  return { messages, isRefused: walker.violation !== undefined };
}

/** The only two ways in which we may differ from `ws`. */
type Difference = "non-minimal length" | "UTF-8 of text";

/** @returns the difference that explains the disagreement, or undefined when none of the two does */
function explain(
  frames: readonly FrameSpec[],
  ours: Reading,
  theirs: Reading,
): Difference | undefined {
  const isPrefix = (shorter: Reading, longer: Reading) =>
    shorter.messages.every((message, at) => message === longer.messages[at]);
  // RFC 6455 §5.2 demands the shortest form; `ws` reads longer ones. We refuse, and saw no more than it did.
  const isLong = frames.some(
    ({ opcode, lengthBytes, payload }) =>
      opcode < OPCODE.close &&
      ((lengthBytes === 2 && payload.length < 126) ||
        (lengthBytes === 8 && payload.length < 65_536)),
  );
  if (isLong && ours.isRefused && isPrefix(ours, theirs)) return "non-minimal length";
  // `ws` reads text and refuses what is no UTF-8; we pass it on. It saw no more than we did.
  if (!theirs.isRefused || !isPrefix(theirs, ours)) return undefined;
  const next = ours.messages[theirs.messages.length];
  const isBrokenText =
    next?.startsWith(`${OPCODE.text}:`) === true && !isUtf8(Buffer.from(next.slice(2), "hex"));
  return isBrokenText ? "UTF-8 of text" : undefined;
}

describe("FrameWalker beside ws", () => {
  test("differs in non-minimal lengths and the UTF-8 of text, and in nothing else", async () => {
    await using reader = await WsReader.open();
    const seen = new Map<Difference, number>();
    let refused = 0;
    await fc.assert(
      fc.asyncProperty(spoiltFrames, async (frames) => {
        const ours = readByWalker(frames);
        const theirs = await reader.read(Buffer.concat(frames.map(writeFrame)));
        if (theirs.isRefused) refused += 1;
        try {
          assert.deepEqual(ours, theirs);
        } catch (cause) {
          const difference = explain(frames, ours, theirs);
          if (difference === undefined) throw cause;
          seen.set(difference, (seen.get(difference) ?? 0) + 1);
        }
      }),
      {
        numRuns: 400,
        // Both differences are among what is tried, whatever the seed.
        examples: [
          [[frame({ lengthBytes: 2 })]],
          [[frame({ opcode: OPCODE.text, payload: Buffer.of(0xff, 0xfe) })]],
        ],
      },
    );
    assert.deepEqual([...seen.keys()].toSorted(), ["UTF-8 of text", "non-minimal length"]);
    assert.ok(refused > 80, `only ${refused} of 400 sequences were refused: the generator is tame`);
  });
});

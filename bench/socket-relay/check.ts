import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import type { Socket } from "node:net";
import { waitFor } from "@tidegate/testkit";
import { bareFrame, maskedFrame, type TestFrame } from "./frames.ts";
import { OURS, type Contenders } from "./contenders.ts";
import { openSocket } from "./socket-load.ts";

/** Messages of every form of the length, text and binary, in one order for all. */
const MESSAGES: readonly TestFrame[] = [0, 1, 100, 125, 126, 1_000, 65_535, 65_536, 70_000].flatMap(
  (length) => [
    { opcode: 1, payload: Buffer.alloc(length, "text ") } as const,
    { opcode: 2, payload: Buffer.alloc(length, Buffer.of(0, 255, 128, 7)) } as const,
  ],
);

/** Text messages among them. */
export const CHECKED_TEXTS = MESSAGES.filter(({ opcode }) => opcode === 1).length;

/**
 * Every contender must give back every message, byte for byte and in order; ours must also refuse the fourth message
 * where three are allowed.
 * @throws {AssertionError} naming the first that does not
 */
export async function checkContenders({ all }: Contenders): Promise<void> {
  const sent = Buffer.concat(MESSAGES.map(maskedFrame));
  const wanted = Buffer.concat(MESSAGES.map(bareFrame));
  for (const { name, port } of all) {
    const socket = await openSocket(port, "/live");
    const received = collect(socket);
    // Cut at places that fall into headers, payloads and between frames.
    for (let at = 0; at < sent.length; at += 997) socket.write(sent.subarray(at, at + 997));
    await waitFor(() => received().length >= wanted.length, { what: `the echo through ${name}` });
    assert.ok(received().equals(wanted), `${name} changed a message`);
    socket.destroy();
  }
  const ours = all.find(({ name }) => name === OURS);
  assert.ok(ours !== undefined);
  await checkLimit(ours.port);
}

async function checkLimit(port: number): Promise<void> {
  const socket = await openSocket(port, "/limited");
  const received = collect(socket);
  const message: TestFrame = { opcode: 1, payload: Buffer.from("one of four") };
  socket.write(Buffer.concat(Array.from({ length: 4 }, () => maskedFrame(message))));
  await waitFor(() => socket.readableEnded || socket.closed, { what: "our close" });
  // Messages on their way back when the socket is closed may be lost, but never a fourth let through.
  const close = received().subarray(received().lastIndexOf(0x88));
  assert.equal(close.readUInt16BE(2), 4429, "the fourth message did not end the socket");
  assert.ok(received().length - close.length <= 3 * bareFrame(message).length, "a fourth passed");
  socket.destroy();
}

function collect(socket: Socket): () => Buffer {
  let chunks: Buffer[] = [];
  socket.on("data", (chunk: Buffer) => void chunks.push(chunk));
  return () => {
    if (chunks.length > 1) chunks = [Buffer.concat(chunks)];
    return chunks[0] ?? Buffer.alloc(0);
  };
}

/** @returns text messages that our log has counted in sockets of `/live` that ended: from clients, from the upstream */
export async function countedMessages(logFile: string): Promise<readonly [number, number]> {
  let fromClients = 0;
  let fromUpstream = 0;
  for (const line of (await readFile(logFile, "utf8")).split("\n")) {
    if (!line.includes('"socket.ended"')) continue;
    const { routeId, messages } = JSON.parse(line) as SocketLine;
    if (!routeId.includes("/live")) continue;
    fromClients += messages.upstream["text"] ?? 0;
    fromUpstream += messages.client["text"] ?? 0;
  }
  return [fromClients, fromUpstream];
}

interface SocketLine {
  readonly routeId: string;
  readonly messages: {
    readonly upstream: Readonly<Record<string, number>>;
    readonly client: Readonly<Record<string, number>>;
  };
}

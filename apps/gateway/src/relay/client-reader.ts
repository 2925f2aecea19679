import { Socket, type OnReadOpts } from "node:net";
import { readBuffer, type TakeBytes } from "./read-buffer.ts";

/**
 * Reads an accepted connection into the thread's one buffer, in the place of `data` events, from the next read on. Node
 * has this for connections that it opens (`onread`), and nothing public for those that it accepts; so what `onread`
 * sets in a socket is found on one that was made with it, and set here. Where the socket is not made that way (another
 * Node, another kind of stream), its `data` events are taken instead: dearer, and the same otherwise.
 *
 * The socket must be paused, with nobody else reading it.
 *
 * @returns what the socket had read already; `take` is given what follows
 */
export function readClientTo(socket: Socket, take: TakeBytes): Buffer {
  if (!isReadInto(socket, take)) {
    socket.on("data", (chunk: Buffer) => take(chunk, chunk.length));
    return NOTHING;
  }
  return socket.readableLength > 0 ? ((socket.read() as Buffer | null) ?? NOTHING) : NOTHING;
}

const NOTHING = Buffer.alloc(0);

interface OpenSocket {
  _handle?: { useUserBuffer?(buffer: Buffer): void } | null;
  [key: symbol]: unknown;
}

function isReadInto(socket: Socket, take: TakeBytes): boolean {
  const open = socket as unknown as OpenSocket;
  if (BUFFER_KEY === undefined || CALLBACK_KEY === undefined) return false;
  if (!(socket instanceof Socket) || open[BUFFER_KEY] !== null) return false;
  if (typeof open._handle?.useUserBuffer !== "function") return false;
  open._handle.useUserBuffer(readBuffer);
  open[BUFFER_KEY] = readBuffer;
  open[CALLBACK_KEY] = (byteCount: number): boolean => {
    take(readBuffer, byteCount);
    return true;
  };
  return true;
}

const callback = (): boolean => true;
const sample: OnReadOpts = { buffer: readBuffer, callback };
const sampleSocket = new Socket({ onread: sample }) as unknown as OpenSocket;
const keyOf = (value: unknown): symbol | undefined =>
  Object.getOwnPropertySymbols(sampleSocket).find((key) => sampleSocket[key] === value);

/** Where a socket keeps the buffer that it reads into; null there means that it has none. */
const BUFFER_KEY = keyOf(readBuffer);
/** Where it keeps whom to tell. */
const CALLBACK_KEY = keyOf(callback);

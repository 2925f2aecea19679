import { Socket, type OnReadOpts } from "node:net";
import { readBuffer, type TakeBytes } from "./read-buffer.ts";

/**
 * Reads an accepted connection into the thread's one buffer, in the place of `data` events, from the next read on. Node
 * has this for connections that it opens (`onread`), and nothing public for those that it accepts; so what `onread`
 * sets in a socket is found on one that was made with it, and set here. Where the socket is not made that way (another
 * Node, another kind of stream), its `data` events are taken instead: dearer, and the same otherwise.
 *
 * The socket must not have begun to flow, or be paused. Who took its bytes before takes no more.
 *
 * @returns what the socket had read already; `take` is given what follows
 */
export function readClientTo(socket: Socket, take: TakeBytes): Buffer {
  readClientAsStream(socket);
  if (!isReadInto(socket, take)) {
    const listener = (chunk: Buffer): void => take(chunk, chunk.length);
    listeners.set(socket, listener);
    socket.on("data", listener);
    return NOTHING;
  }
  return socket.readableLength > 0 ? ((socket.read() as Buffer | null) ?? NOTHING) : NOTHING;
}

/**
 * Ends what `readClientTo` began: what comes from now on is the stream's again, for whoever listens to its `data`, and
 * held back by it while nobody does. The next read is no cheaper than the platform's then.
 */
export function readClientAsStream(socket: Socket): void {
  const listener = listeners.get(socket);
  if (listener !== undefined) {
    listeners.delete(socket);
    socket.off("data", listener);
    return;
  }
  const open = socket as unknown as OpenSocket;
  // What the socket reads with cannot be taken from it again, so the bytes are put where the platform would have.
  if (isOurs(open))
    tellOf(open, (byteCount) => socket.push(Buffer.from(readBuffer.subarray(0, byteCount))));
}

const NOTHING = Buffer.alloc(0);

/** Who takes the `data` events of sockets that cannot be read otherwise. Lives and dies with its socket. */
const listeners = new WeakMap<Socket, (chunk: Buffer) => void>();

interface OpenSocket {
  _handle?: { useUserBuffer?(buffer: Buffer): void } | null;
  [key: symbol]: unknown;
}

function isReadInto(socket: Socket, take: TakeBytes): boolean {
  const open = socket as unknown as OpenSocket;
  if (BUFFER_KEY === undefined || CALLBACK_KEY === undefined) return false;
  if (!isOurs(open)) {
    if (!(socket instanceof Socket) || open[BUFFER_KEY] !== null) return false;
    if (typeof open._handle?.useUserBuffer !== "function") return false;
    open._handle.useUserBuffer(readBuffer);
    open[BUFFER_KEY] = readBuffer;
  }
  tellOf(open, (byteCount) => {
    take(readBuffer, byteCount);
    return true;
  });
  return true;
}

function isOurs(open: OpenSocket): boolean {
  return BUFFER_KEY !== undefined && open[BUFFER_KEY] === readBuffer;
}

/** @param read told of each read; false stops reading, as a stream that is full does */
function tellOf(open: OpenSocket, read: (byteCount: number) => boolean): void {
  if (CALLBACK_KEY !== undefined) open[CALLBACK_KEY] = read;
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

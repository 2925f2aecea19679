// A TCP client that sends exactly the bytes it is told, for tests where the wire matters.

import { connect, type Socket } from "node:net";
import { once } from "node:events";
import { waitFor } from "./wait-for.ts";

export interface RawConnection extends AsyncDisposable {
  readonly socket: Socket;
  /** Sends bytes as they are; a string is latin1, so `\xff` is one byte. Resolves when the kernel took them. */
  write(bytes: string | Uint8Array): Promise<void>;
  /** Sends bytes written in hex; blanks are ignored: `"81 85 00000000 68656c6c6f"`. */
  writeHex(hex: string): Promise<void>;
  /** What arrived and was not yet taken by a `read…`. */
  received(): Buffer;
  /** How many bytes ever arrived. */
  receivedBytes(): number;
  /**
   * Takes everything up to and including `until`: a latin1 text, or a predicate over what has arrived (then all of it).
   * @throws {Error} that shows what arrived, when the deadline passes or the peer ends first
   */
  readUntil(
    until: string | ((received: Buffer) => boolean),
    options?: { readonly deadlineMs?: number },
  ): Promise<Buffer>;
  /** Takes exactly `count` bytes. */
  readBytes(count: number, options?: { readonly deadlineMs?: number }): Promise<Buffer>;
  /** Takes all that arrives until the peer ends its side, in whichever way. */
  readToEnd(options?: { readonly deadlineMs?: number }): Promise<Buffer>;
  /** How the peer ended its side: `end` is a FIN, `reset` anything abrupt; undefined while it is open. */
  ending(): "end" | "reset" | undefined;
  /** Waits until the peer ended its side and says how. */
  ended(options?: { readonly deadlineMs?: number }): Promise<"end" | "reset">;
  /** Sends FIN; reading goes on. */
  halfClose(): void;
  /** Sends RST. */
  reset(): void;
  /** Stops reading, as a slow reader does: the kernel's buffers fill up. */
  pause(): void;
  resume(): void;
}

/** Opens a TCP connection to `port` on 127.0.0.1 (or `host`). */
export async function rawConnection(
  port: number,
  options: { readonly host?: string } = {},
): Promise<RawConnection> {
  const socket = connect({ port, host: options.host ?? "127.0.0.1", allowHalfOpen: true });
  socket.setNoDelay(true);
  let chunks: Buffer[] = [];
  let total = 0;
  let ending: "end" | "reset" | undefined;
  socket.on("data", (chunk: Buffer) => {
    chunks.push(chunk);
    total += chunk.length;
  });
  socket.on("end", () => (ending ??= "end"));
  socket.on("error", () => (ending ??= "reset"));
  socket.on("close", () => (ending ??= "reset"));
  await once(socket, "connect");

  const received = (): Buffer => {
    if (chunks.length > 1) chunks = [Buffer.concat(chunks)];
    return chunks[0] ?? Buffer.alloc(0);
  };
  const take = (count: number): Buffer => {
    const all = received();
    chunks = count < all.length ? [all.subarray(count)] : [];
    return all.subarray(0, count);
  };
  /** Takes as many bytes as `measure` says, once it says a number. */
  const takeWhen = async (
    measure: (bytes: Buffer) => number | undefined,
    what: string,
    deadlineMs: number | undefined,
  ): Promise<Buffer> => {
    let seenAt = -1;
    let count: number | undefined;
    try {
      await waitFor(
        () => {
          if (total === seenAt && ending === undefined) return false;
          seenAt = total;
          count = measure(received());
          return count !== undefined || ending !== undefined;
        },
        { what, everyMs: 1, ...(deadlineMs === undefined ? {} : { deadlineMs }) },
      );
    } catch (cause) {
      throw new Error(`Cannot read ${what} in time; arrived: ${preview(received())}`, { cause });
    }
    if (count === undefined) {
      throw new Error(
        `Cannot read ${what}: the peer's ${ending} came first, after ${preview(received())}`,
      );
    }
    return take(count);
  };

  const self: RawConnection = {
    socket,
    write: (bytes) =>
      new Promise((resolve, reject) => {
        const data = typeof bytes === "string" ? Buffer.from(bytes, "latin1") : bytes;
        socket.write(data, (error) => (error ? reject(error) : resolve()));
      }),
    writeHex(hex) {
      return self.write(Buffer.from(hex.replaceAll(/\s/g, ""), "hex"));
    },
    received,
    receivedBytes: () => total,
    readUntil(until, { deadlineMs } = {}) {
      if (typeof until === "function") {
        return takeWhen(
          (bytes) => (until(bytes) ? bytes.length : undefined),
          "what was asked for",
          deadlineMs,
        );
      }
      const marker = Buffer.from(until, "latin1");
      return takeWhen(
        (bytes) => {
          const at = bytes.indexOf(marker);
          return at < 0 ? undefined : at + marker.length;
        },
        JSON.stringify(until),
        deadlineMs,
      );
    },
    readBytes: (count, { deadlineMs } = {}) =>
      takeWhen(
        (bytes) => (bytes.length >= count ? count : undefined),
        `${count} bytes`,
        deadlineMs,
      ),
    async readToEnd({ deadlineMs } = {}) {
      await self.ended(deadlineMs === undefined ? {} : { deadlineMs });
      return take(received().length);
    },
    ending: () => ending,
    ended: ({ deadlineMs } = {}) =>
      waitFor(() => ending, {
        what: "the peer to end the connection",
        ...(deadlineMs === undefined ? {} : { deadlineMs }),
      }),
    halfClose: () => void socket.end(),
    reset: () => void socket.resetAndDestroy(),
    pause: () => void socket.pause(),
    resume: () => void socket.resume(),
    async [Symbol.asyncDispose]() {
      if (socket.closed) return;
      const closed = new Promise((resolve) => socket.once("close", resolve));
      socket.destroy();
      await closed;
    },
  };
  return self;
}

function preview(bytes: Buffer): string {
  const shown = JSON.stringify(bytes.subarray(0, 400).toString("latin1"));
  return bytes.length > 400 ? `${shown} … (${bytes.length} bytes)` : shown;
}

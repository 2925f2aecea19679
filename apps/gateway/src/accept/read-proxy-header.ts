import type { Socket } from "node:net";
import type { Clock } from "@tidegate/clock";
import { MAX_PROXY_HEADER_BYTES, parseProxyHeader } from "./proxy-protocol.ts";

/** Whose a connection is by the words of the balancer in front. */
export interface ProxiedSource {
  readonly address: string;
  readonly port: number;
}

/**
 * Reads the PROXY header off a connection; what came behind it is put back, unread. The connection is paused until
 * then. @returns undefined when the balancer speaks for itself
 * @throws {Error} when there is none, it is broken, or does not arrive in time
 */
export async function readProxyHeader(
  socket: Socket,
  { clock, timeoutMs }: { clock: Clock; timeoutMs: number },
): Promise<ProxiedSource | undefined> {
  const { promise, resolve, reject } = Promise.withResolvers<ProxiedSource | undefined>();
  let bytes = Buffer.alloc(0);
  const timer = clock.after(timeoutMs, () => reject(new Error("The PROXY header is late")));
  const onEnd = (): void => reject(new Error("The connection ended before its PROXY header"));
  const onData = (chunk: Buffer): void => {
    // At most one read beyond the longest header is held.
    bytes = Buffer.concat([bytes, chunk]);
    const header = parseProxyHeader(bytes);
    if (header.kind === "flaw") reject(new Error(header.detail));
    else if (header.kind === "incomplete") {
      if (bytes.length >= MAX_PROXY_HEADER_BYTES) reject(new Error("The PROXY header is too long"));
    } else {
      socket.pause();
      socket.off("data", onData);
      const rest = bytes.subarray(header.lengthBytes);
      if (rest.length > 0) socket.unshift(rest);
      resolve(header.source);
    }
  };
  socket.on("data", onData);
  socket.once("end", onEnd);
  socket.once("close", onEnd);
  try {
    return await promise;
  } finally {
    timer.cancel();
    socket.off("data", onData);
    socket.off("end", onEnd);
    socket.off("close", onEnd);
  }
}

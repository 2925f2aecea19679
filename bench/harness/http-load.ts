import { connect, type Socket } from "node:net";
import { once } from "node:events";

/** What is asked, and what every answer must be. */
export interface HttpLoad {
  readonly port: number;
  /** Kept connections; each has one request on its way at a time. */
  readonly connections: number;
  /** The bytes of request number `index`. Given as bytes, so that making them costs nothing while it counts. */
  readonly request: (index: number) => Buffer;
  /** The body of every answer; its status must be 200. */
  readonly expectedBody: Buffer;
}

/** Connections that are open and used again for every run, as a busy client's are. */
export interface HttpLoader extends AsyncDisposable {
  /**
   * Sends `count` requests, each as soon as its connection is free, and verifies every answer.
   * @throws {Error} at the first answer that is not what it must be, or when 10 s pass without any
   */
  run(count: number): Promise<void>;
}

const SILENCE_MS = 10_000;

/** Raw sockets and no HTTP client: what asks must cost little, and the same for all that are asked. */
export async function openHttpLoader(load: HttpLoad): Promise<HttpLoader> {
  const channels = await Promise.all(
    Array.from({ length: load.connections }, () => openChannel(load.port, load.expectedBody)),
  );
  let sent = 0;
  return {
    async run(count) {
      let left = count;
      const work = async (channel: Channel): Promise<void> => {
        while (left > 0) {
          left -= 1;
          await channel.ask(load.request(sent++));
        }
      };
      await Promise.all(channels.map(work));
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(channels.map((channel) => channel.close()));
    },
  };
}

/** One kept connection. */
export interface Channel {
  /** Sends one request and resolves at the end of its answer. One at a time. */
  ask(request: Buffer): Promise<void>;
  readonly isBusy: boolean;
  close(): Promise<void>;
}

const HEAD_END = Buffer.from("\r\n\r\n");

export async function openChannel(port: number, expectedBody: Buffer): Promise<Channel> {
  const socket = connect({ port, host: "127.0.0.1", noDelay: true });
  await once(socket, "connect");
  socket.setTimeout(SILENCE_MS);
  let waiting: { resolve: () => void; reject: (error: Error) => void } | undefined;
  let received: Buffer = Buffer.alloc(0);

  const fail = (reason: string): void => {
    const failed = waiting;
    waiting = undefined;
    socket.destroy();
    failed?.reject(new Error(`Cannot go on with port ${port}: ${reason}`));
  };
  socket.on("error", (error) => fail(error.message));
  socket.on("close", () => fail("the connection ended"));
  socket.on("timeout", () => {
    if (waiting !== undefined) fail(`no answer within ${SILENCE_MS} ms`);
  });
  socket.on("data", (chunk: Buffer) => {
    received = received.length === 0 ? chunk : Buffer.concat([received, chunk]);
    const headEnd = received.indexOf(HEAD_END);
    if (headEnd < 0) return;
    const bodyStart = headEnd + HEAD_END.length;
    // "HTTP/1.1 200"
    if (received.toString("latin1", 9, 12) !== "200") {
      fail(`unexpected answer ${JSON.stringify(received.toString("latin1", 0, 300))}`);
      return;
    }
    if (received.length < bodyStart + expectedBody.length) return;
    const body = received.subarray(bodyStart);
    if (!body.equals(expectedBody)) {
      fail(`unexpected body ${JSON.stringify(body.toString("latin1", 0, 300))}`);
      return;
    }
    received = Buffer.alloc(0);
    const done = waiting;
    waiting = undefined;
    done?.resolve();
  });

  return {
    ask: (request) =>
      new Promise((resolve, reject) => {
        if (waiting !== undefined) throw new Error("Cannot ask twice at once on one connection");
        waiting = { resolve, reject };
        socket.write(request);
      }),
    get isBusy() {
      return waiting !== undefined;
    },
    close: () => closeSocket(socket),
  };
}

async function closeSocket(socket: Socket): Promise<void> {
  if (socket.closed) return;
  socket.destroy();
  await once(socket, "close");
}

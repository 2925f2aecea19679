import { createServer, type IncomingMessage } from "node:http";
import { once } from "node:events";

/** A client's back-channel logout endpoint. */
export interface LogoutReceiver extends AsyncDisposable {
  readonly url: string;
  /** Bodies as they came. */
  readonly received: readonly string[];
  /** What is answered from now on. */
  answer: number;
}

export async function logoutReceiver(): Promise<LogoutReceiver> {
  const received: string[] = [];
  const state = { answer: 200 };
  const server = createServer((request: IncomingMessage, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      if (request.url === "/logout") received.push(Buffer.concat(chunks).toString());
      response.writeHead(state.answer, { "cache-control": "no-store" }).end();
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  const port = typeof address === "object" ? address?.port : 0;
  return {
    url: `http://127.0.0.1:${port}/logout`,
    received,
    get answer() {
      return state.answer;
    },
    set answer(status) {
      state.answer = status;
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

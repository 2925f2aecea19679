import { once } from "node:events";
import { createServer, type IncomingHttpHeaders, type ServerResponse } from "node:http";

/** What a document that answers by itself is told beside the answer. */
export interface Asked {
  readonly form: URLSearchParams;
  readonly headers: IncomingHttpHeaders;
}

/** A real HTTP server on loopback whose documents a test may change between requests. */
export interface JsonServer extends AsyncDisposable {
  readonly url: URL;
  /** Path → JSON document, or a function that answers by itself. A path not in it is 404. */
  readonly documents: Map<string, unknown>;
  /** Paths asked for, in order. */
  readonly requests: string[];
}

export async function jsonServer(): Promise<JsonServer> {
  const documents = new Map<string, unknown>();
  const requests: string[] = [];
  const server = createServer((request, response) => {
    const path = request.url ?? "";
    requests.push(path);
    const document = documents.get(path);
    if (typeof document === "function") {
      let body = "";
      request.setEncoding("utf8");
      request.on("data", (chunk: string) => (body += chunk));
      request.on("end", () => {
        const asked = { form: new URLSearchParams(body), headers: request.headers };
        (document as (response: ServerResponse, asked: Asked) => void)(response, asked);
      });
      return;
    }
    response.writeHead(document === undefined ? 404 : 200, { "content-type": "application/json" });
    response.end(JSON.stringify(document ?? {}));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return {
    url: new URL(`http://127.0.0.1:${address.port}`),
    documents,
    requests,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { once } from "node:events";
import type { Stages } from "@tidegate/service-kit";
import { WEB_FILES, type WebFile } from "./web-files.ts";

/** A running web page. Disposing it stops it. */
export interface WorkspaceServer extends AsyncDisposable {
  readonly url: string;
  readonly stages: Stages;
}

/**
 * Serves the files of the page, the same to everybody: they hold nothing about anybody. What is personal the page asks of
 * the gateway. Listens on loopback alone; the gateway stands before it.
 * @throws {Error} when the port is taken
 */
export async function startWorkspace({
  port,
}: {
  readonly port: number;
}): Promise<WorkspaceServer> {
  const server = createServer({ requestTimeout: 10_000, keepAliveTimeout: 75_000 }, answer);
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string")
    throw new Error("Cannot listen: no TCP port");
  const stages: Stages = {
    drain: () => server.closeIdleConnections(),
    async finish() {
      if (!server.listening) return;
      server.close();
      await once(server, "close");
    },
    cut: () => server.closeAllConnections(),
    flush: () => Promise.resolve(),
  };
  return {
    url: `http://127.0.0.1:${address.port}`,
    stages,
    async [Symbol.asyncDispose]() {
      stages.cut();
      await stages.finish();
    },
  };
}

function answer(request: IncomingMessage, response: ServerResponse): void {
  const path = (request.url ?? "").split("?", 1)[0] ?? "";
  if (request.method !== "GET" && request.method !== "HEAD") {
    response.writeHead(405, { allow: "GET, HEAD" }).end();
    return;
  }
  if (path === "/healthz" || path === "/readyz") {
    response.writeHead(200, { "content-type": "application/json" }).end('{"status":"ready"}\n');
    return;
  }
  const file = WEB_FILES.get(path);
  if (file === undefined) response.writeHead(404, FIELDS).end();
  else send(request, response, file);
}

function send(
  request: IncomingMessage,
  response: ServerResponse,
  { bytes, type, etag }: WebFile,
): void {
  const fields = { ...FIELDS, etag, "cache-control": "public, no-cache" };
  const known = request.headers["if-none-match"]?.split(",").map((tag) => tag.trim());
  if (known?.includes(etag) === true || known?.includes("*") === true) {
    response.writeHead(304, fields).end();
    return;
  }
  response.writeHead(200, { ...fields, "content-type": type, "content-length": bytes.length });
  response.end(request.method === "HEAD" ? undefined : bytes);
}

/**
 * The page runs its own scripts and talks to its own origin; nobody frames it (clickjacking), nothing is read as another
 * type, and where it leads it does not say where from.
 */
const FIELDS = {
  "content-security-policy":
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
  "cross-origin-opener-policy": "same-origin",
  "referrer-policy": "same-origin",
  "x-content-type-options": "nosniff",
};

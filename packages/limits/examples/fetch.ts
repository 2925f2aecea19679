// A fetch-style handler behind limits, served by Node. On Deno: `Deno.serve((request, info) =>
// handle(request, { address: info.remoteAddr.hostname }))`; on Bun: `server.requestIP(request)?.address`.
import { createServer, type IncomingMessage } from "node:http";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { byAddress, limited } from "@tidegate/limits/fetch";

export const handle = limited(
  async (request) => {
    if (request.method !== "POST") return new Response("hello\n");
    return new Response(await request.text());
  },
  {
    limits: [
      { kind: "window", name: "per-address", limit: 3, seconds: 60, key: byAddress },
      { kind: "concurrency", name: "at-once", limit: 2, key: byAddress },
    ],
  },
);

export const server = createServer((incoming, outgoing) => {
  const gone = new AbortController();
  outgoing.once("close", () => gone.abort());
  handle(toRequest(incoming, gone.signal), { address: incoming.socket.remoteAddress })
    .then(async (response) => {
      outgoing.writeHead(response.status, Object.fromEntries(response.headers));
      await pipeline(response.body === null ? [] : Readable.fromWeb(response.body), outgoing);
    })
    .catch(() => outgoing.destroy());
});

function toRequest(incoming: IncomingMessage, signal: AbortSignal): Request {
  const hasBody = incoming.method !== "GET" && incoming.method !== "HEAD";
  return new Request(new URL(incoming.url ?? "/", "http://localhost"), {
    method: incoming.method ?? "GET",
    signal,
    ...(hasBody ? { body: Readable.toWeb(incoming), duplex: "half" as const } : {}),
  });
}

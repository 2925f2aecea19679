import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { once } from "node:events";
import type { Clock } from "@tidegate/clock";

/** Waits on loopback for the one answer of a sign-in. */
export interface LoopbackAnswer extends AsyncDisposable {
  /** `http://127.0.0.1:<port>/callback`. */
  readonly redirectUri: string;
  /**
   * Where the provider sent the browser back to, with the query that came. Whether it is an answer of the right provider is
   * left to whoever redeems it.
   * @throws {Error} when nothing came in time, or too much that was not meant for this sign-in
   */
  answer(): Promise<URL>;
}

/**
 * RFC 8252 §7.3 and §8.3: a free port of 127.0.0.1, open for one answer and no longer. Any program of this machine and any
 * page in any browser can call it, so what does not bring `state` is refused and does not end the wait; the first that
 * does is the answer, and there is no second.
 */
export async function listenForAnswer({
  state,
  waitMs,
  clock,
}: {
  readonly state: string;
  /** How long a person may take. */
  readonly waitMs: number;
  readonly clock: Clock;
}): Promise<LoopbackAnswer> {
  const { promise, resolve, reject } = Promise.withResolvers<URL>();
  // Whoever disposes before asking for the answer must not be told about it as an unhandled failure.
  promise.catch(() => undefined);
  let strays = 0;
  let isAnswered = false;
  const server = createServer({ maxHeaderSize: MAX_HEAD_BYTES }, (request, response) => {
    const url = toCallback(request, redirectUri);
    if (url === undefined || isAnswered || !isFor(url, state)) {
      sendPage(response, 400, "This is not the answer that tidegate waits for.");
      if (++strays >= MAX_STRAYS)
        reject(new Error("Cannot sign in: too many answers that belong to no sign-in came back"));
      return;
    }
    isAnswered = true;
    sendPage(response, 200, "Done. The terminal says what came of it; this page can be closed.");
    response.on("close", () => resolve(url));
  });
  server.maxConnections = MAX_CONNECTIONS;
  server.headersTimeout = 5_000;
  server.requestTimeout = 5_000;
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("Cannot listen on loopback");
  const redirectUri = `http://127.0.0.1:${address.port}/callback`;
  const timer = clock.after(waitMs, () =>
    reject(new Error(`Cannot sign in: no answer within ${Math.round(waitMs / 1_000)} s`)),
  );
  return {
    redirectUri,
    answer: () => promise,
    async [Symbol.asyncDispose]() {
      timer.cancel();
      const closed = once(server, "close");
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

/** The name is checked so that no page of another site reaches this by a name of its own (DNS rebinding). */
function toCallback(
  { method, url = "", headers }: IncomingMessage,
  redirectUri: string,
): URL | undefined {
  const expected = new URL(redirectUri);
  if (method !== "GET" || headers.host !== expected.host) return undefined;
  return url.startsWith("/callback?") ? new URL(url, expected) : undefined;
}

function isFor({ searchParams }: URL, state: string): boolean {
  const states = searchParams.getAll("state");
  return states.length === 1 && states[0] === state;
}

function sendPage(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, {
    "content-type": "text/html; charset=utf-8",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
    connection: "close",
  });
  response.end(`<!doctype html><html lang="en"><title>Tidegate</title><p>${text}</p></html>\n`);
}

/** Longer than any answer: codes of some providers have 2 KB. */
const MAX_HEAD_BYTES = 16_384;
/** Browsers open a few ahead. Further ones are cut. */
const MAX_CONNECTIONS = 16;
/** Icons, prefetches and a reload or two. Beyond it somebody guesses, and the sign-in ends. */
const MAX_STRAYS = 64;

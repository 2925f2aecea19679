import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import type { Duplex } from "node:stream";
import { Deadlines, systemClock, type Clock } from "@tidegate/clock";
import { addressKey } from "@tidegate/limits";
import { REASON, type ReasonCode } from "../judge/reason.ts";
import type { Peer } from "../judge/call.ts";
import type { GatewayConfig } from "../config/schema.ts";
import type { ClientAddress } from "./client-address.ts";
import { toCanonicalAddress } from "./client-address.ts";
import type { Exchange, UpgradeExchange } from "./exchange.ts";
import { Http1Answer } from "./http1-answer.ts";
import { Http1Body } from "./http1-body.ts";
import { Http1Connection, type ConnectionOwner, type Turn } from "./http1-connection.ts";
import { inspectRequest, type Inspected } from "./inspect-request.ts";
import { explainParserError } from "./parser-error.ts";

/** What the listener hands over. Nothing of the platform's HTTP types passes this seam. */
export interface Arrivals {
  /** @param oddities bits of `ODDITY` that the route must allow */
  request(exchange: Http1Exchange, oddities: number): void;
  upgrade(upgrade: UpgradeExchange, oddities: number): void;
  /** A shape that no head could be made of. `write` answers and may be called once. */
  refused(
    arrival: { peer: Peer; method: string; reason: ReasonCode; detail: string; closes: boolean },
    write: (status: number, fields: string[], body: string) => void,
  ): void;
}

/** An exchange of HTTP/1: the seam, and the body as the slow-body watch sees it. */
export interface Http1Exchange extends Exchange {
  readonly body: Http1Body;
}

/** Client connections of the whole process: the cap is its, and not one worker's. */
export interface ConnectionCount {
  isFull(): boolean;
  opened(): void;
  closed(): void;
}

export interface Http1Listener extends AsyncDisposable {
  /**
   * @param options.isShared whether other threads listen on the same port; the kernel spreads connections
   * @returns the port that is listened on
   */
  listen(options: { readonly port: number; readonly isShared: boolean }): Promise<number>;
  /**
   * Stops accepting, closes silent connections, and lets each running answer be its connection's last.
   * @returns a promise that is kept when no answer is owed any more and the last one has left
   */
  drain(): Promise<void>;
  /** Ends every connection. */
  cut(): void;
  readonly connectionCount: number;
}

/** How late an expiry on a client connection may be noticed. */
const DEADLINE_TICK_MS = 250;

export function createHttp1Listener({
  listen,
  servedHosts,
  clientAddress,
  arrivals,
  connections,
  firstConnectionNumber,
  clock = systemClock,
}: {
  listen: GatewayConfig["listen"];
  servedHosts: ReadonlySet<string>;
  clientAddress: ClientAddress;
  arrivals: Arrivals;
  connections: ConnectionCount;
  /** Connections are numbered from here; no two connections of the process share a number. */
  firstConnectionNumber: number;
  clock?: Clock;
}): Http1Listener {
  return new NodeHttp1Listener({
    listen,
    servedHosts,
    clientAddress,
    arrivals,
    connections,
    firstConnectionNumber,
    clock,
  });
}

class NodeHttp1Listener implements Http1Listener, ConnectionOwner {
  readonly #listen: GatewayConfig["listen"];
  readonly #servedHosts: ReadonlySet<string>;
  readonly #clientAddress: ClientAddress;
  readonly #arrivals: Arrivals;
  readonly #clock: Clock;
  readonly #deadlines: Deadlines;
  readonly #server: Server;
  /** Bounded by `listen.maxConnections`; an entry leaves with its connection. */
  readonly #connections = new Map<Duplex, Http1Connection>();
  readonly #count: ConnectionCount;
  #lastConnectionNumber: number;
  /** Connections on which an answer is owed. */
  #busyCount = 0;
  #whenIdle: (() => void) | undefined;
  /** The request that just asked for an upgrade it cannot have. Written and read within one turn of the parser. */
  #refusedUpgrade: IncomingMessage | undefined;
  isDraining = false;

  constructor({
    listen,
    servedHosts,
    clientAddress,
    arrivals,
    connections,
    firstConnectionNumber,
    clock,
  }: {
    listen: GatewayConfig["listen"];
    servedHosts: ReadonlySet<string>;
    clientAddress: ClientAddress;
    arrivals: Arrivals;
    connections: ConnectionCount;
    firstConnectionNumber: number;
    clock: Clock;
  }) {
    this.#listen = listen;
    this.#servedHosts = servedHosts;
    this.#clientAddress = clientAddress;
    this.#arrivals = arrivals;
    this.#count = connections;
    this.#lastConnectionNumber = firstConnectionNumber;
    this.#clock = clock;
    this.#deadlines = new Deadlines(clock, DEADLINE_TICK_MS);
    this.#server = createServer({
      insecureHTTPParser: false,
      maxHeaderSize: listen.maxHeaderBytes,
      headersTimeout: listen.headerTimeoutMs,
      // Uploads are bounded by their rate and not by their length in time; see slow-body-watch.ts.
      requestTimeout: 0,
      keepAliveTimeout: listen.idleTimeoutMs,
      connectionsCheckingInterval: Math.min(1_000, listen.headerTimeoutMs),
      noDelay: true,
      // We refuse a missing Host ourselves, with a problem document.
      requireHostHeader: false,
      shouldUpgradeCallback: (request) => this.#shouldUpgrade(request),
    });
    this.#server.maxHeadersCount = 0; // bounded by maxHeaderSize; a count would cut fields off in silence
    // A connection that could not be accepted (out of descriptors) is that connection's loss, not the process's.
    this.#server.on("error", () => undefined);
    this.#server.on("connection", (socket: Socket) => this.#connected(socket));
    this.#server.on("request", (request, response) => this.#requested(request, response, false));
    this.#server.on("checkContinue", (request, response) =>
      this.#requested(request, response, true),
    );
    this.#server.on("checkExpectation", (request, response) =>
      this.#requested(request, response, false),
    );
    this.#server.on("upgrade", (request, _socket, early) => this.#upgraded(request, early));
    this.#server.on("connect", (request) => this.#connectAsked(request));
    this.#server.on("clientError", (error: NodeJS.ErrnoException, socket) =>
      this.#broken(error, socket),
    );
  }

  get connectionCount(): number {
    return this.#connections.size;
  }

  async listen({
    port,
    isShared,
  }: {
    readonly port: number;
    readonly isShared: boolean;
  }): Promise<number> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#server.once("error", reject);
    this.#server.listen({ port, host: this.#listen.host, reusePort: isShared }, resolve);
    await promise;
    this.#server.off("error", reject);
    return (this.#server.address() as AddressInfo).port;
  }

  drain(): Promise<void> {
    this.isDraining = true;
    this.#server.close();
    this.#server.closeIdleConnections();
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#whenIdle = resolve;
    if (this.#busyCount === 0) resolve();
    return promise;
  }

  cut(): void {
    this.#server.closeAllConnections();
    // Upgraded connections are no longer the server's own.
    for (const { socket } of this.#connections.values()) socket.destroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    void this.drain();
    this.cut();
  }

  began(): void {
    this.#busyCount++;
  }

  idled(): void {
    this.#busyCount--;
    if (this.#busyCount === 0) this.#whenIdle?.();
  }

  closed({ socket }: Http1Connection): void {
    this.#connections.delete(socket);
    this.#count.closed();
  }

  serve(connection: Http1Connection, turn: Turn): void {
    const { request, response, mustContinue } = turn;
    const inspected = this.#inspect(request, turn.isRefusedUpgrade, connection.peer);
    const isRefused = "reason" in inspected;
    const declaredBytes = isRefused ? declaredLength(request) : inspected.head.bodyBytes;
    const body = new Http1Body(request, response, { declaredBytes, mustContinue });
    const answer = new Http1Answer(request, response, {
      body,
      connection,
      flushTimeoutMs: this.#listen.idleTimeoutMs,
    });
    connection.answering(answer);
    if (isRefused) {
      const arrival = { peer: connection.peer, method: request.method ?? "", closes: true };
      this.#arrivals.refused({ ...arrival, ...inspected }, (status, fields, text) => {
        answer.closeAfter();
        const bytes = Buffer.from(text);
        answer.head(status, fields, bytes.length);
        answer.write(bytes);
        answer.end([]);
      });
      return;
    }
    const peer = this.#peerOf(connection.peer, inspected.head.fields);
    this.#arrivals.request({ head: inspected.head, peer, body, answer }, inspected.oddities);
  }

  #connected(socket: Socket): void {
    if (this.#count.isFull()) {
      socket.destroy();
      return;
    }
    this.#count.opened();
    const address = toCanonicalAddress(socket.remoteAddress ?? "");
    const peer: Peer = {
      address,
      network: addressKey(address) ?? address,
      port: socket.remotePort ?? 0,
      connectionNumber: ++this.#lastConnectionNumber,
    };
    const parts = { peer, owner: this, clock: this.#clock, deadlines: this.#deadlines };
    this.#connections.set(socket, new Http1Connection(socket, parts));
  }

  #requested(request: IncomingMessage, response: ServerResponse, mustContinue: boolean): void {
    const connection = this.#connections.get(request.socket);
    if (connection === undefined) {
      response.destroy();
      return;
    }
    const isRefusedUpgrade = this.#refusedUpgrade === request;
    this.#refusedUpgrade = undefined;
    connection.take({ request, response, mustContinue, isRefusedUpgrade });
  }

  // What is not let through here stays an ordinary request, which is refused in its turn: a 101, or a refusal
  // written past the answers still owed, would be taken for one of them (request smuggling by pipelining).
  #shouldUpgrade(request: IncomingMessage): boolean {
    const isFree = this.#connections.get(request.socket)?.isFree === true;
    const isWebSocket =
      request.method === "GET" &&
      isHttp11(request) &&
      joinFields(request.rawHeaders, "upgrade")?.trim().toLowerCase() === "websocket" &&
      request.headers["transfer-encoding"] === undefined &&
      Number(request.headers["content-length"] ?? 0) === 0;
    if (isFree && isWebSocket) return true;
    this.#refusedUpgrade = request;
    return false;
  }

  #upgraded(request: IncomingMessage, early: Buffer): void {
    const { socket } = request;
    const connection = this.#connections.get(socket);
    if (connection === undefined) {
      socket.destroy();
      return;
    }
    const inspected = this.#inspect(request, false, connection.peer);
    if ("reason" in inspected) {
      this.#refuseRaw(connection, { method: request.method ?? "", ...inspected });
      return;
    }
    const { head } = inspected;
    socket.pause();
    this.#arrivals.upgrade(
      {
        head,
        peer: this.#peerOf(connection.peer, head.fields),
        socket,
        early,
        refuse: (status, fields, text) => connection.refuseRaw(status, fields, text),
      },
      inspected.oddities,
    );
  }

  #connectAsked({ socket }: IncomingMessage): void {
    const connection = this.#connections.get(socket);
    // The parser has let go of the connection, so answers still owed could not be finished properly.
    if (connection === undefined || !connection.isFree) {
      socket.destroy();
      return;
    }
    const detail = "CONNECT is not served";
    this.#refuseRaw(connection, { method: "CONNECT", reason: REASON.malformed_request, detail });
  }

  #broken(error: NodeJS.ErrnoException, socket: Duplex): void {
    const connection = this.#connections.get(socket);
    const isRefusable = /^(?:HPE_|ERR_HTTP_)/.test(error.code ?? "");
    if (connection === undefined || !isRefusable) {
      socket.destroy();
      return;
    }
    connection.broken(() =>
      this.#refuseRaw(connection, { method: "", ...explainParserError(error) }),
    );
  }

  #refuseRaw(
    connection: Http1Connection,
    refusal: { method: string; reason: ReasonCode; detail: string },
  ): void {
    this.#arrivals.refused(
      { peer: connection.peer, closes: true, ...refusal },
      (status, fields, body) => connection.refuseRaw(status, fields, body),
    );
  }

  #inspect(request: IncomingMessage, isRefusedUpgrade: boolean, peer: Peer): Inspected {
    const { method = "", url = "", rawHeaders } = request;
    // The parser also reads 0.9 and 2.0 out of a request line, and would frame them as it likes.
    const isHttp10 = request.httpVersionMajor === 1 && request.httpVersionMinor === 0;
    if (!isHttp10 && !isHttp11(request))
      return { reason: REASON.malformed_request, detail: "Only HTTP/1.1 and HTTP/1.0 are spoken" };
    const inspected = inspectRequest(
      {
        method,
        target: url,
        httpVersion: isHttp10 ? "1.0" : "1.1",
        fields: rawHeaders,
        isEncrypted: this.#isEncrypted(peer, rawHeaders),
      },
      { maxTargetBytes: this.#listen.maxTargetBytes, servedHosts: this.#servedHosts },
    );
    if (!isRefusedUpgrade || "reason" in inspected) return inspected;
    return {
      reason: REASON.malformed_request,
      detail:
        "Only a GET without body, with nothing unanswered before it, is upgraded, and only to websocket",
    };
  }

  #peerOf(peer: Peer, fields: readonly string[]): Peer {
    if (!this.#clientAddress.isTrusted(peer.address)) return peer;
    const forwardedFor = joinFields(fields, "x-forwarded-for");
    const address = this.#clientAddress.resolve(peer.address, forwardedFor);
    return { ...peer, address, network: addressKey(address) ?? address, isProxied: true };
  }

  /** TLS may have ended at a configured proxy, which then says so; the right-most word is its own. */
  #isEncrypted(peer: Peer, fields: readonly string[]): boolean {
    if (!this.#clientAddress.isTrusted(peer.address)) return false;
    const protocols = joinFields(fields, "x-forwarded-proto")?.split(",");
    return protocols?.at(-1)?.trim().toLowerCase() === "https";
  }
}

function isHttp11(request: IncomingMessage): boolean {
  return request.httpVersionMajor === 1 && request.httpVersionMinor === 1;
}

function joinFields(fields: readonly string[], name: string): string | undefined {
  const values: string[] = [];
  for (let at = 0; at + 1 < fields.length; at += 2)
    if ((fields[at] as string).toLowerCase() === name) values.push(fields[at + 1] as string);
  return values.length === 0 ? undefined : values.join(", ");
}

// Only to know whether bytes may follow a refused head.
function declaredLength(request: IncomingMessage): number {
  if (request.headers["transfer-encoding"] !== undefined) return -1;
  return Number(request.headers["content-length"] ?? 0);
}

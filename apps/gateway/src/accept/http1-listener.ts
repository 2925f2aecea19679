import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import type { Duplex } from "node:stream";
import { addressKey } from "@tidegate/limits";
import { REASON, type ReasonCode } from "../judge/reason.ts";
import type { Peer } from "../judge/call.ts";
import type { GatewayConfig } from "../config/schema.ts";
import type { ClientAddress } from "./client-address.ts";
import { toCanonicalAddress } from "./client-address.ts";
import type { Exchange, UpgradeExchange } from "./exchange.ts";
import { Http1Answer } from "./http1-answer.ts";
import { Http1Body } from "./http1-body.ts";
import { inspectRequest, type Inspected } from "./inspect-request.ts";
import { writeRawAnswer } from "./raw-answer.ts";

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

export interface Http1Listener extends AsyncDisposable {
  /** @returns the port that is listened on */
  listen(): Promise<number>;
  /** Stops accepting, closes silent connections, and lets each running answer be its connection's last. */
  drain(): void;
  /** Ends every connection. */
  cut(): void;
  readonly connectionCount: number;
}

/** Requests that one connection may have in flight by pipelining; more is a flood, and ends it. */
const MAX_PIPELINED = 32;

/** What is remembered of one client connection. */
interface Connection {
  readonly peer: Peer;
  /** Requests whose answer has not ended. */
  inFlight: number;
}

export function createHttp1Listener({
  listen,
  servedHosts,
  clientAddress,
  arrivals,
}: {
  listen: GatewayConfig["listen"];
  servedHosts: ReadonlySet<string>;
  clientAddress: ClientAddress;
  arrivals: Arrivals;
}): Http1Listener {
  return new NodeHttp1Listener({ listen, servedHosts, clientAddress, arrivals });
}

class NodeHttp1Listener implements Http1Listener {
  readonly #listen: GatewayConfig["listen"];
  readonly #servedHosts: ReadonlySet<string>;
  readonly #clientAddress: ClientAddress;
  readonly #arrivals: Arrivals;
  readonly #server: Server;
  /** Bounded by `listen.maxConnections`; an entry leaves with its connection. */
  readonly #connections = new Map<Duplex, Connection>();
  #lastConnectionNumber = 0;
  #isDraining = false;

  constructor({
    listen,
    servedHosts,
    clientAddress,
    arrivals,
  }: {
    listen: GatewayConfig["listen"];
    servedHosts: ReadonlySet<string>;
    clientAddress: ClientAddress;
    arrivals: Arrivals;
  }) {
    this.#listen = listen;
    this.#servedHosts = servedHosts;
    this.#clientAddress = clientAddress;
    this.#arrivals = arrivals;
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
    });
    this.#server.maxHeadersCount = 0; // bounded by maxHeaderSize; a count would cut fields off in silence
    this.#server.maxConnections = listen.maxConnections;
    this.#server.on("connection", (socket: Socket) => this.#connected(socket));
    this.#server.on("request", (request, response) => this.#requested(request, response, false));
    this.#server.on("checkContinue", (request, response) =>
      this.#requested(request, response, true),
    );
    this.#server.on("checkExpectation", (request, response) =>
      this.#requested(request, response, false),
    );
    this.#server.on("upgrade", (request, socket, early) =>
      this.#upgraded(request, socket as Socket, early),
    );
    this.#server.on("connect", (request, socket) =>
      this.#refuseRaw(socket, {
        method: request.method ?? "",
        reason: REASON.malformed_request,
        detail: "CONNECT is not served",
      }),
    );
    this.#server.on("clientError", (error: NodeJS.ErrnoException, socket) =>
      this.#broken(error, socket),
    );
  }

  get connectionCount(): number {
    return this.#connections.size;
  }

  async listen(): Promise<number> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#server.once("error", reject);
    this.#server.listen({ port: this.#listen.port, host: this.#listen.host }, resolve);
    await promise;
    this.#server.off("error", reject);
    return (this.#server.address() as AddressInfo).port;
  }

  drain(): void {
    this.#isDraining = true;
    this.#server.close();
    this.#server.closeIdleConnections();
  }

  cut(): void {
    this.#server.closeAllConnections();
    // Upgraded connections are no longer the server's own.
    for (const socket of this.#connections.keys()) socket.destroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.drain();
    this.cut();
  }

  #connected(socket: Socket): void {
    const address = toCanonicalAddress(socket.remoteAddress ?? "");
    const peer: Peer = {
      address,
      network: addressKey(address) ?? address,
      port: socket.remotePort ?? 0,
      connectionNumber: ++this.#lastConnectionNumber,
    };
    this.#connections.set(socket, { peer, inFlight: 0 });
    socket.once("close", () => this.#connections.delete(socket));
  }

  #requested(request: IncomingMessage, response: ServerResponse, mustContinue: boolean): void {
    const connection = this.#connections.get(request.socket);
    if (connection === undefined) {
      response.destroy();
      return;
    }
    connection.inFlight++;
    response.once("close", () => connection.inFlight--);
    const inspected = this.#inspect(request);
    const isRefused = "reason" in inspected;
    const declaredBytes = isRefused ? declaredLength(request) : inspected.head.bodyBytes;
    const body = new Http1Body(request, response, { declaredBytes, mustContinue });
    const answer = new Http1Answer(request, response, body);
    if (this.#isDraining) answer.closeAfter();
    if (connection.inFlight > MAX_PIPELINED) {
      request.socket.destroy();
      return;
    }
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

  #upgraded(request: IncomingMessage, socket: Socket, early: Buffer): void {
    const connection = this.#connections.get(socket);
    if (connection === undefined) {
      socket.destroy();
      return;
    }
    // Nobody listens for errors on a connection that left the server; a reset must not end the process.
    socket.on("error", () => socket.destroy());
    const method = request.method ?? "";
    const refuse = (detail: string): void =>
      this.#refuseRaw(socket, { method, reason: REASON.malformed_request, detail });
    // The 101 would overtake the answers still owed (request smuggling by pipelining).
    if (connection.inFlight > 0) {
      refuse("An upgrade came behind an unanswered request");
      return;
    }
    const inspected = this.#inspect(request);
    if ("reason" in inspected) {
      this.#refuseRaw(socket, { method, ...inspected });
      return;
    }
    const { head } = inspected;
    if (method !== "GET" || head.httpVersion !== "1.1" || !isWebSocketUpgrade(head.fields)) {
      refuse("Only GET can be upgraded, and only to websocket");
      return;
    }
    if (head.bodyBytes !== 0) {
      refuse("A handshake has no body");
      return;
    }
    socket.pause();
    this.#arrivals.upgrade(
      {
        head,
        peer: this.#peerOf(connection.peer, head.fields),
        socket,
        early,
        refuse: (status, fields, text) => writeRawAnswer(socket, status, { fields, body: text }),
      },
      inspected.oddities,
    );
  }

  #broken(error: NodeJS.ErrnoException, socket: Duplex): void {
    const connection = this.#connections.get(socket);
    // An answer is under way: writing a second one into it would corrupt it.
    if (connection === undefined || connection.inFlight > 0 || error.code === "ECONNRESET") {
      socket.destroy();
      return;
    }
    this.#refuseRaw(socket, { method: "", ...explainParserError(error) });
  }

  #refuseRaw(
    socket: Duplex,
    refusal: { method: string; reason: ReasonCode; detail: string },
  ): void {
    const peer = this.#connections.get(socket)?.peer;
    if (peer === undefined) {
      socket.destroy();
      return;
    }
    this.#arrivals.refused({ peer, closes: true, ...refusal }, (status, fields, body) =>
      writeRawAnswer(socket, status, { fields, body }),
    );
  }

  #inspect(request: IncomingMessage): Inspected {
    return inspectRequest(
      {
        method: request.method ?? "",
        target: request.url ?? "",
        httpVersion: request.httpVersionMinor === 0 ? "1.0" : "1.1",
        fields: request.rawHeaders,
        isEncrypted: false,
      },
      { maxTargetBytes: this.#listen.maxTargetBytes, servedHosts: this.#servedHosts },
    );
  }

  #peerOf(peer: Peer, fields: readonly string[]): Peer {
    if (!this.#clientAddress.isTrusted(peer.address)) return peer;
    const forwardedFor = joinFields(fields, "x-forwarded-for");
    const address = this.#clientAddress.resolve(peer.address, forwardedFor);
    return { ...peer, address, network: addressKey(address) ?? address, isProxied: true };
  }
}

function isWebSocketUpgrade(fields: readonly string[]): boolean {
  return joinFields(fields, "upgrade")?.trim().toLowerCase() === "websocket";
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

function explainParserError(error: NodeJS.ErrnoException & { rawPacket?: Buffer }): {
  reason: ReasonCode;
  detail: string;
} {
  switch (error.code) {
    case "HPE_HEADER_OVERFLOW":
      return { reason: REASON.fields_too_large, detail: "The fields are larger than allowed" };
    case "ERR_HTTP_REQUEST_TIMEOUT":
      return { reason: REASON.request_late, detail: "The request's head took too long" };
    case "HPE_INVALID_METHOD": {
      // A well-formed request line with a method the parser has not heard of, or plain garbage.
      const line = error.rawPacket?.subarray(0, 256).toString("latin1") ?? "";
      return /^[A-Z][A-Z-]{1,31} \/\S* HTTP\/1\.[01]\r\n/.test(line)
        ? { reason: REASON.method_unknown, detail: "This method is not known" }
        : { reason: REASON.malformed_request, detail: "The bytes are not HTTP/1.1" };
    }
    default:
      return { reason: REASON.malformed_request, detail: "The bytes are not HTTP/1.1" };
  }
}

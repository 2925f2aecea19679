import { createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { Deadlines, systemClock, type Clock } from "@tidegate/clock";
import { addressKey } from "@tidegate/limits";
import type { GatewayConfig } from "../config/schema.ts";
import type { Peer } from "../judge/call.ts";
import { REASON, type ReasonCode } from "../judge/reason.ts";
import type { ClientAddress } from "./client-address.ts";
import { toCanonicalAddress } from "./client-address.ts";
import { createHttpDate } from "./http-date.ts";
import type { Exchange, UpgradeExchange } from "./exchange.ts";
import { readProxyHeader } from "./read-proxy-header.ts";
import { inspectRequest, type Inspected } from "./inspect-request.ts";
import type { Flaw } from "./request-line.ts";
import type { ParsedHead } from "./request-parser.ts";
import type { ConnectionOwner, Turn } from "./turn.ts";
import { Http1Answer } from "./http1-answer.ts";
import { NO_BODY, Http1Body } from "./http1-body.ts";
import { Http1Connection } from "./http1-connection.ts";

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

export interface Http1ListenerOptions {
  readonly listen: GatewayConfig["listen"];
  readonly servedHosts: ReadonlySet<string>;
  readonly clientAddress: ClientAddress;
  readonly arrivals: Arrivals;
  readonly connections: ConnectionCount;
  /** Connections are numbered from here; no two connections of the process share a number. */
  readonly firstConnectionNumber: number;
  /** Told that connections could not be accepted: how many since it was told last, and why the latest. */
  readonly acceptFailed?: (error: Error, count: number) => void;
  readonly clock?: Clock;
}

/** Where one attempt fails, the next ones mostly do: who reads the log must learn it, and need not a thousand times. */
const TELL_FAILURES_EVERY_MS = 10_000;

/** The public listener: plain sockets and a parser of our own; `decisions/009-accept-path.md` says why. */
export function createHttp1Listener(options: Http1ListenerOptions): Http1Listener {
  return new SocketHttp1Listener(options);
}

class SocketHttp1Listener implements Http1Listener, ConnectionOwner {
  readonly headerTimeoutMs: number;
  readonly idleTimeoutMs: number;
  readonly maxHeaderBytes: number;
  readonly tailOfKept: string;
  isDraining = false;
  readonly #host: string;
  readonly #expectsProxyHeader: boolean;
  readonly #inspection: { maxTargetBytes: number; servedHosts: ReadonlySet<string> };
  readonly #clientAddress: ClientAddress;
  readonly #arrivals: Arrivals;
  readonly #clock: Clock;
  readonly #deadlines: Deadlines;
  readonly #server: Server;
  readonly #httpDate: () => string;
  /** Bounded by `listen.maxConnections`; an entry leaves with its connection. */
  readonly #connections = new Set<Http1Connection>();
  /** Connections whose PROXY header has not come yet. Bounded as above. */
  readonly #unannounced = new Set<Socket>();
  readonly #count: ConnectionCount;
  readonly #acceptFailed: Http1ListenerOptions["acceptFailed"];
  #failures = 0;
  #tellFailuresFromMs = 0;
  #lastConnectionNumber: number;
  /** Connections on which an answer is owed. */
  #busyCount = 0;
  #whenIdle: (() => void) | undefined;
  #date = "";
  #dateLine = "";

  constructor(options: Http1ListenerOptions) {
    const { listen, servedHosts, clock = systemClock } = options;
    this.#host = listen.host;
    this.#expectsProxyHeader = listen.proxyProtocol;
    this.headerTimeoutMs = listen.headerTimeoutMs;
    this.idleTimeoutMs = listen.idleTimeoutMs;
    this.maxHeaderBytes = listen.maxHeaderBytes;
    // Clients that know when we let go do not send a request into a connection that just ended.
    const keptSeconds = Math.floor(listen.idleTimeoutMs / 1_000);
    this.tailOfKept = `Connection: keep-alive\r\nKeep-Alive: timeout=${keptSeconds}\r\n\r\n`;
    this.#inspection = { maxTargetBytes: listen.maxTargetBytes, servedHosts };
    this.#clientAddress = options.clientAddress;
    this.#arrivals = options.arrivals;
    this.#count = options.connections;
    this.#lastConnectionNumber = options.firstConnectionNumber;
    this.#clock = clock;
    this.#deadlines = new Deadlines(clock, Math.min(DEADLINE_TICK_MS, listen.headerTimeoutMs));
    this.#httpDate = createHttpDate(clock);
    this.#server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) =>
      this.#connected(socket),
    );
    this.#acceptFailed = options.acceptFailed;
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
    this.#server.listen({ port, host: this.#host, reusePort: isShared }, resolve);
    await promise;
    this.#server.off("error", reject);
    // A connection that could not be accepted is that connection's loss, not the process's. For want of descriptors
    // the platform closes it itself, and tells nobody.
    this.#server.on("error", (error) => this.#couldNotAccept(error));
    return (this.#server.address() as AddressInfo).port;
  }

  drain(): Promise<void> {
    this.isDraining = true;
    this.#server.close();
    for (const connection of this.#connections) if (connection.isSilent) connection.destroy();
    for (const socket of this.#unannounced) socket.destroy();
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#whenIdle = resolve;
    if (this.#busyCount === 0) resolve();
    return promise;
  }

  cut(): void {
    for (const connection of this.#connections) connection.destroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    void this.drain();
    this.cut();
  }

  dateLine(): string {
    const date = this.#httpDate();
    if (date !== this.#date) {
      this.#date = date;
      this.#dateLine = `Date: ${date}\r\n`;
    }
    return this.#dateLine;
  }

  began(): void {
    this.#busyCount++;
  }

  idled(): void {
    this.#busyCount--;
    if (this.#busyCount === 0) this.#whenIdle?.();
  }

  closed(connection: Http1Connection): void {
    this.#connections.delete(connection);
    this.#count.closed();
  }

  serve(connection: Http1Connection, { head, isRefusedUpgrade }: Turn): void {
    const inspected = isRefusedUpgrade ? REFUSED_UPGRADE : this.#inspect(head, connection.peer);
    const isRefused = "reason" in inspected;
    const mustContinue = !isRefused && inspected.head.expectsContinue;
    const body =
      head.bodyBytes === 0 ? NO_BODY : new Http1Body(connection, head.bodyBytes, mustContinue);
    const answer = new Http1Answer(connection, head, body);
    connection.answering(answer, body);
    if (isRefused) {
      const arrival = { peer: connection.peer, method: head.method, closes: true };
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

  // What is not let through here stays an ordinary request, which is refused in its turn: a 101, or a refusal
  // written past the answers still owed, would be taken for one of them (request smuggling by pipelining).
  upgrades(connection: Http1Connection, head: ParsedHead, early: Buffer): boolean {
    const { isFree } = connection;
    if (head.method === "CONNECT") {
      const detail = "CONNECT is not served";
      // Answers still owed could not be told from ours.
      if (isFree) this.#refuse(connection, { method: "CONNECT", ...MALFORMED, detail });
      else connection.destroy();
      return true;
    }
    const isWebSocket =
      head.method === "GET" &&
      head.httpVersion === "1.1" &&
      head.upgrade?.trim().toLowerCase() === "websocket" &&
      head.bodyBytes === 0;
    if (!isFree || !isWebSocket) return false;
    const inspected = this.#inspect(head, connection.peer);
    if ("reason" in inspected) {
      this.#refuse(connection, { method: head.method, ...inspected });
      return true;
    }
    connection.release();
    this.#arrivals.upgrade(
      {
        head: inspected.head,
        peer: this.#peerOf(connection.peer, head.fields),
        socket: connection.socket,
        early,
        refuse: (status, fields, text) => connection.refuseRaw(status, fields, text),
      },
      inspected.oddities,
    );
    return true;
  }

  refuseFlaw(connection: Http1Connection, flaw: Flaw): void {
    this.#refuse(connection, { method: "", ...flaw });
  }

  #couldNotAccept(error: Error): void {
    this.#failures++;
    const nowMs = this.#clock.monotonicMs();
    if (nowMs < this.#tellFailuresFromMs) return;
    this.#tellFailuresFromMs = nowMs + TELL_FAILURES_EVERY_MS;
    this.#acceptFailed?.(error, this.#failures);
    this.#failures = 0;
  }

  #connected(socket: Socket): void {
    if (this.#count.isFull()) {
      socket.destroy();
      return;
    }
    this.#count.opened();
    const address = toCanonicalAddress(socket.remoteAddress ?? "");
    if (this.#expectsProxyHeader) void this.#connectedByProxy(socket, address);
    else this.#open(socket, { address, port: socket.remotePort ?? 0 });
  }

  /** Only configured proxies may say whose a connection is, and then they must: anybody else's word would be a lie. */
  async #connectedByProxy(socket: Socket, proxy: string): Promise<void> {
    socket.on("error", () => undefined);
    this.#unannounced.add(socket);
    try {
      if (!this.#clientAddress.isTrusted(proxy)) throw new Error("It is not a configured proxy");
      const timeoutMs = this.headerTimeoutMs;
      const source = await readProxyHeader(socket, { clock: this.#clock, timeoutMs });
      const port = source?.port ?? socket.remotePort ?? 0;
      const address = source === undefined ? proxy : toCanonicalAddress(source.address);
      this.#open(socket, { address, port });
      socket.resume();
    } catch {
      this.#count.closed();
      socket.destroy();
    } finally {
      this.#unannounced.delete(socket);
    }
  }

  #open(socket: Socket, { address, port }: { address: string; port: number }): void {
    const peer: Peer = {
      address,
      network: addressKey(address) ?? address,
      port,
      connectionNumber: ++this.#lastConnectionNumber,
    };
    const parts = { peer, owner: this, clock: this.#clock, deadlines: this.#deadlines };
    this.#connections.add(new Http1Connection(socket, parts));
  }

  #refuse(
    connection: Http1Connection,
    refusal: { method: string; reason: ReasonCode; detail: string },
  ): void {
    this.#arrivals.refused(
      { peer: connection.peer, closes: true, ...refusal },
      (status, fields, body) => connection.refuseRaw(status, fields, body),
    );
  }

  #inspect({ method, target, httpVersion, fields }: ParsedHead, peer: Peer): Inspected {
    const isEncrypted = this.#isEncrypted(peer, fields);
    return inspectRequest({ method, target, httpVersion, fields, isEncrypted }, this.#inspection);
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

const MALFORMED = { reason: REASON.malformed_request };
const REFUSED_UPGRADE = {
  ...MALFORMED,
  detail:
    "Only a GET without body, with nothing unanswered before it, is upgraded, and only to websocket",
};

function joinFields(fields: readonly string[], name: string): string | undefined {
  const values: string[] = [];
  for (let at = 0; at + 1 < fields.length; at += 2)
    if ((fields[at] as string).toLowerCase() === name) values.push(fields[at + 1] as string);
  return values.length === 0 ? undefined : values.join(", ");
}

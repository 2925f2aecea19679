import { connect, type Socket, type OnReadOpts } from "node:net";
import type { Clock, Deadlines } from "@tidegate/clock";
import { Fault, type FaultName } from "../fault.ts";
import type { UpstreamConfig } from "../config/schema.ts";
import { flushSoon } from "../write-batch.ts";
import type { AnswerHead } from "./answer-head.ts";
import { AnswerParser } from "./answer-parser.ts";
import type { Target } from "./upstream.ts";

/** What the platform reads from a connection at once, at most. */
const READ_BYTES = 65_536;

/**
 * One read buffer for all upstream connections of this thread: a read and all that follows from it are one synchronous
 * step, and whoever keeps bytes beyond it copies them. The platform would otherwise allocate 64 KiB for every read,
 * however little came, and its garbage collector would have to free them.
 */
const readBuffer = Buffer.allocUnsafeSlow(READ_BYTES);

/** Who asked. After `answerHead`, `exchangeFailed` means that the answer was cut short. */
export interface ExchangeListener {
  answerInformed(status: number, fields: readonly string[]): void;
  answerHead(answer: AnswerHead): void;
  /** @param bytes lent: other bytes stand there when the call has returned */
  answerChunk(bytes: Buffer): void;
  answerEnded(trailers: string[]): void;
  /** The upstream takes bytes of the request again. */
  upstreamDrained(): void;
  /** The exchange is over without a whole answer. Called at most once, and nothing follows. */
  exchangeFailed(fault: Fault): void;
}

/** What the pool wants to know. */
export interface ConnectionOwner {
  /** No exchange runs and the connection can carry another. */
  idled(connection: UpstreamConnection): void;
  closed(connection: UpstreamConnection): void;
}

/**
 * One HTTP/1.1 connection to a target, carrying one exchange at a time. Requests are written as they are
 * given; answers go through the strict parser. Nothing is buffered here but what the kernel did not take.
 */
export class UpstreamConnection {
  readonly target: Target;
  readonly #config: UpstreamConfig;
  readonly #clock: Clock;
  readonly #deadlines: Deadlines;
  readonly #owner: ConnectionOwner;
  readonly #socket: Socket;
  readonly #parser: AnswerParser;
  readonly #deadline = { dueMs: Number.POSITIVE_INFINITY, expire: () => this.#expired() };
  #listener: ExchangeListener | undefined;
  #isClosed = false;
  /** A head that leaves with the batch; empty when none waits. */
  #head = "";
  #isRequestSent = false;
  #hasAnswerBegun = false;
  #hasAnswerBytes = false;
  #totalDueMs = Number.POSITIVE_INFINITY;
  #keepAliveMs: number;
  /** Exchanges begun on this connection; a second one may meet a connection that just ended. */
  exchanges = 0;
  /** Monotonic time after which an idle connection is not used again. Written by this class, read by the pool. */
  usableUntilMs = 0;

  private constructor(
    socket: Socket,
    {
      target,
      config,
      clock,
      deadlines,
      owner,
    }: {
      target: Target;
      config: UpstreamConfig;
      clock: Clock;
      deadlines: Deadlines;
      owner: ConnectionOwner;
    },
  ) {
    this.target = target;
    this.#config = config;
    this.#clock = clock;
    this.#deadlines = deadlines;
    this.#owner = owner;
    this.#socket = socket;
    this.#keepAliveMs = config.keepAliveMs;
    this.#parser = new AnswerParser(config.maxAnswerHeaderBytes);
    socket.on("end", () => this.#peerEnded());
    socket.on("drain", () => this.#listener?.upstreamDrained());
    socket.on("error", () => socket.destroy());
    socket.on("close", () => this.#closed());
    deadlines.add(this.#deadline);
  }

  /**
   * Opens a connection within `config.connectTimeoutMs`.
   * @throws {Fault} `upstream_unreachable`, `upstream_timeout`; `client_gone` when `signal` was aborted
   */
  static async open(options: {
    target: Target;
    config: UpstreamConfig;
    clock: Clock;
    deadlines: Deadlines;
    owner: ConnectionOwner;
    signal?: AbortSignal;
  }): Promise<UpstreamConnection> {
    let connection: UpstreamConnection | undefined;
    let hasSpokenFirst = false;
    const callback = (byteCount: number): boolean => {
      if (connection === undefined) hasSpokenFirst = true;
      else connection.#received(readBuffer.subarray(0, byteCount));
      return !hasSpokenFirst;
    };
    const socket = await openSocket({ ...options, onread: { buffer: readBuffer, callback } });
    connection = new UpstreamConnection(socket, options);
    if (hasSpokenFirst) connection.close();
    return connection;
  }

  get isUsable(): boolean {
    return !this.#isClosed && this.#parser.isIdle && !this.#socket.destroyed;
  }

  /** Sends a request's head. Only when `isUsable`. */
  begin(
    head: string,
    {
      listener,
      hasBody,
      isHeadRequest,
    }: { listener: ExchangeListener; hasBody: boolean; isHeadRequest: boolean },
  ): void {
    this.exchanges++;
    this.#listener = listener;
    this.#hasAnswerBegun = false;
    this.#hasAnswerBytes = false;
    this.#isRequestSent = !hasBody;
    const nowMs = this.#clock.monotonicMs();
    this.#totalDueMs =
      this.#config.totalTimeoutMs === 0
        ? Number.POSITIVE_INFINITY
        : nowMs + this.#config.totalTimeoutMs;
    this.#touch(nowMs);
    this.#parser.begin(this.#answers, isHeadRequest);
    if (hasBody) {
      this.#socket.write(head, "latin1");
      return;
    }
    this.#head = head;
    flushSoon(this);
  }

  flushBatch(): void {
    const head = this.#head;
    this.#head = "";
    if (!this.#socket.destroyed) this.#socket.write(head, "latin1");
  }

  /** @returns false when the upstream is slow: stop until `upstreamDrained` */
  write(bytes: Buffer): boolean {
    this.#touch(this.#clock.monotonicMs());
    return this.#socket.write(bytes);
  }

  /** Writes a chunk of a chunked body in one go. */
  writeChunk(bytes: Buffer): boolean {
    this.#touch(this.#clock.monotonicMs());
    this.#socket.cork();
    this.#socket.write(`${bytes.length.toString(16)}\r\n`, "latin1");
    const isTaken = this.#socket.write(bytes);
    this.#socket.write("\r\n", "latin1");
    this.#socket.uncork();
    return isTaken;
  }

  /** The request is whole. @param tail what closes a chunked body, or empty */
  endRequest(tail: string): void {
    if (tail !== "") this.#socket.write(tail, "latin1");
    this.#isRequestSent = true;
    this.#touch(this.#clock.monotonicMs());
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#touch(this.#clock.monotonicMs());
    this.#socket.resume();
  }

  /** Whether any byte of the running or last exchange's answer came. */
  get hasAnswerBytes(): boolean {
    return this.#hasAnswerBytes;
  }

  /** Was taken from the pool and is not needed after all. */
  release(): void {
    if (!this.isUsable) {
      this.#socket.destroy();
      return;
    }
    this.#rest();
    this.#owner.idled(this);
  }

  /** Gives the exchange up; the listener hears nothing more. A half-sent request is cut, never completed. */
  abort(): void {
    this.#listener = undefined;
    this.#socket.destroy();
  }

  close(): void {
    this.#socket.destroy();
  }

  readonly #answers = {
    informed: (status: number, fields: readonly string[]): void =>
      this.#listener?.answerInformed(status, fields),
    head: (answer: AnswerHead): void => {
      if (answer.isUpgrade) {
        this.#fail("upstream_garbage", "it answered 101 to a request that asked for no upgrade");
        return;
      }
      this.#hasAnswerBegun = true;
      // From here on the pause between two bytes is what counts, no longer the wait for the first.
      this.#touch(this.#clock.monotonicMs());
      if (answer.keepAliveMs > 0)
        // A second early, so that our next request does not cross the target's own ending on the way.
        this.#keepAliveMs = Math.min(
          this.#config.keepAliveMs,
          Math.max(0, answer.keepAliveMs - 1_000),
        );
      this.#listener?.answerHead(answer);
    },
    chunk: (bytes: Buffer): void => this.#listener?.answerChunk(bytes),
    ended: (trailers: string[], isReusable: boolean): void => {
      const listener = this.#listener;
      this.#listener = undefined;
      // An answer that came before the request was whole leaves the connection in the middle of a body.
      const isKept =
        isReusable &&
        this.#isRequestSent &&
        !this.#socket.writableNeedDrain &&
        !this.#socket.destroyed;
      if (isKept) {
        this.#rest();
      } else {
        this.#socket.destroy();
      }
      listener?.answerEnded(trailers);
      if (isKept) this.#owner.idled(this);
    },
  };

  #received(chunk: Buffer): void {
    if (this.#head !== "") {
      // What comes before the request has left is no answer to it (a 408 for the silence before, for one).
      this.#fail("upstream_ended", "it spoke before it was asked");
      return;
    }
    if (this.#listener !== undefined) this.#touch(this.#clock.monotonicMs());
    this.#hasAnswerBytes = true;
    const flaw = this.#parser.parse(chunk);
    if (flaw !== undefined) this.#fail("upstream_garbage", flaw);
  }

  #peerEnded(): void {
    const flaw = this.#parser.end();
    if (flaw !== undefined) this.#fail("upstream_ended", flaw);
    this.#socket.destroy();
  }

  #closed(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#deadlines.delete(this.#deadline);
    this.#fail("upstream_ended", "the connection was reset");
    this.#owner.closed(this);
  }

  /** Waits for the next exchange: the deadline is now that of an unused connection. */
  #rest(): void {
    this.usableUntilMs = this.#clock.monotonicMs() + this.#keepAliveMs;
    this.#deadline.dueMs = this.usableUntilMs;
    // A slow client may have paused it, and a paused connection does not notice its end.
    this.#socket.resume();
  }

  #expired(): void {
    if (this.#listener === undefined) {
      this.#socket.destroy();
      return;
    }
    const { firstByteTimeoutMs, idleTimeoutMs, totalTimeoutMs } = this.#config;
    const nowMs = this.#clock.monotonicMs();
    if (nowMs >= this.#totalDueMs) {
      this.#fail("upstream_timeout", `not whole within ${totalTimeoutMs} ms`);
    } else if (this.#isRequestSent && !this.#hasAnswerBegun) {
      this.#fail("upstream_timeout", `no answer within ${firstByteTimeoutMs} ms`);
    } else {
      this.#fail("upstream_timeout", `nothing moved for ${idleTimeoutMs} ms`);
    }
  }

  // Every byte moves the deadline; a plain write, so that a stream can afford it.
  #touch(nowMs: number): void {
    const waitMs =
      this.#isRequestSent && !this.#hasAnswerBegun
        ? this.#config.firstByteTimeoutMs
        : this.#config.idleTimeoutMs;
    this.#deadline.dueMs = Math.min(nowMs + waitMs, this.#totalDueMs);
  }

  #fail(kind: FaultName, reason: string): void {
    const listener = this.#listener;
    this.#listener = undefined;
    this.#socket.destroy();
    listener?.exchangeFailed(
      new Fault(kind, `Cannot get the answer of ${this.target.authority}: ${reason}`),
    );
  }
}

/**
 * A connected socket without delay, paused.
 * @throws {Fault} `upstream_unreachable`, `upstream_timeout`; `client_gone` when `signal` was aborted
 */
export async function openSocket({
  target,
  config,
  clock,
  signal,
  onread,
}: {
  target: Target;
  config: Pick<UpstreamConfig, "connectTimeoutMs">;
  clock: Clock;
  signal?: AbortSignal | undefined;
  onread?: OnReadOpts | undefined;
}): Promise<Socket> {
  const cannot = `Cannot connect to ${target.authority}`;
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const socket = connect({
    host: target.host,
    port: target.port,
    noDelay: true,
    allowHalfOpen: true,
    ...(onread === undefined ? {} : { onread }),
  });
  const timer = clock.after(config.connectTimeoutMs, () =>
    reject(
      new Fault("upstream_timeout", `${cannot}: not open within ${config.connectTimeoutMs} ms`),
    ),
  );
  const left = (): void => reject(new Fault("client_gone", `${cannot}: the client went away`));
  const refused = (cause: Error): void =>
    reject(new Fault("upstream_unreachable", `${cannot}: ${cause.message}`, { cause }));
  signal?.addEventListener("abort", left, { once: true });
  if (signal?.aborted === true) left();
  socket.once("connect", resolve);
  socket.once("error", refused);
  try {
    await promise;
    socket.off("error", refused);
    return socket;
  } catch (error) {
    socket.on("error", () => undefined); // what comes after we gave up is nobody's news
    socket.destroy();
    throw error;
  } finally {
    timer.cancel();
    signal?.removeEventListener("abort", left);
  }
}

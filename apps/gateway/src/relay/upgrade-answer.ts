import type { Socket } from "node:net";
import type { Clock } from "@tidegate/clock";
import { Fault } from "../fault.ts";
import type { AnswerHead } from "../upstream/answer-head.ts";
import { AnswerParser } from "../upstream/answer-parser.ts";
import type { UpstreamReader } from "./upstream-reader.ts";

/** What an upstream said to our handshake. */
export interface UpgradeAnswer {
  readonly head: AnswerHead;
  /** Bytes behind the head: frames after a 101, body of any other answer. */
  readonly rest: Buffer;
  /** Knows where the body of an answer other than 101 ends. */
  readonly body: AnswerBody;
}

/** Takes the body of an answer that is not a 101. */
export interface AnswerBody {
  /** @returns what is wrong, in words */
  read(bytes: Buffer, sink: (chunk: Buffer) => void): string | undefined;
  /** The connection ended. @returns what is wrong with that, in words */
  end(): string | undefined;
  readonly isWhole: boolean;
}

/**
 * Sends a handshake and waits for the head of its answer. The socket is paused afterwards and has no listeners of
 * ours; the reader waits for its next taker.
 *
 * @throws {Fault} `upstream_timeout`, `upstream_garbage`, `upstream_ended`, `client_gone` (the signal)
 */
export async function askForUpgrade(
  socket: Socket,
  options: {
    /** Of that socket. */
    readonly reader: UpstreamReader;
    readonly requestHead: string;
    readonly maxHeaderBytes: number;
    readonly timeoutMs: number;
    readonly authority: string;
    readonly clock: Clock;
    readonly signal: AbortSignal;
  },
): Promise<UpgradeAnswer> {
  const { authority, timeoutMs, signal } = options;
  const { promise, resolve, reject } = Promise.withResolvers<UpgradeAnswer>();
  const headReader = new HeadReader(options.maxHeaderBytes);
  const fail = (
    kind: "upstream_timeout" | "upstream_garbage" | "upstream_ended" | "client_gone",
    why: string,
  ) => reject(new Fault(kind, `Cannot upgrade at ${authority}: ${why}`));
  const onData = (chunk: Buffer): void => {
    const answer = headReader.read(chunk);
    if (typeof answer === "string") fail("upstream_garbage", answer);
    else if (answer !== undefined) resolve(answer);
  };
  const onEnd = (): void => fail("upstream_ended", "the connection ended before the answer");
  const onAbort = (): void => fail("client_gone", "the client went away");
  const timer = options.clock.after(timeoutMs, () =>
    fail("upstream_timeout", `no answer within ${timeoutMs} ms`),
  );
  options.reader.readTo(onData);
  socket.on("end", onEnd);
  socket.on("error", onEnd);
  socket.on("close", onEnd);
  signal.addEventListener("abort", onAbort);
  if (signal.aborted) onAbort();
  socket.write(options.requestHead, "latin1");
  socket.resume();
  try {
    return await promise;
  } finally {
    socket.pause();
    timer.cancel();
    signal.removeEventListener("abort", onAbort);
    socket.off("end", onEnd);
    socket.off("error", onEnd);
    socket.off("close", onEnd);
  }
}

/** Gives the parser one head at a time, because what follows a 101 is not HTTP. */
class HeadReader {
  readonly #parser: AnswerParser;
  #head: AnswerHead | undefined;
  /** How much of CR LF CR LF the last bytes are. */
  #matched = 0;
  #isWhole = false;
  #sink: ((chunk: Buffer) => void) | undefined;

  constructor(maxHeaderBytes: number) {
    this.#parser = new AnswerParser(maxHeaderBytes);
    this.#parser.begin(
      {
        informed: () => {},
        head: (head) => {
          this.#head = head;
        },
        chunk: (bytes) => this.#sink?.(bytes),
        ended: () => {
          this.#isWhole = true;
        },
      },
      false,
    );
  }

  read(chunk: Buffer): UpgradeAnswer | string | undefined {
    let start = 0;
    for (let at = 0; at < chunk.length; at += 1) {
      this.#matched = this.#nextMatch(chunk[at]!);
      if (this.#matched < 4) continue;
      this.#matched = 0;
      const flaw = this.#parser.parse(chunk.subarray(start, at + 1));
      if (flaw !== undefined) return flaw;
      start = at + 1;
      if (this.#head !== undefined) {
        return { head: this.#head, rest: chunk.subarray(start), body: this.#body() };
      }
    }
    return start === chunk.length ? undefined : this.#parser.parse(chunk.subarray(start));
  }

  #nextMatch(byte: number): number {
    if (byte === (this.#matched % 2 === 0 ? 13 : 10)) return this.#matched + 1;
    return byte === 13 ? 1 : 0;
  }

  #body(): AnswerBody {
    const isWhole = () => this.#isWhole;
    return {
      read: (bytes, sink) => {
        this.#sink = sink;
        return this.#parser.parse(bytes);
      },
      end: () => this.#parser.end(),
      get isWhole() {
        return isWhole();
      },
    };
  }
}

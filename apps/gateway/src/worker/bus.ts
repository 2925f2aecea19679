import type { Clock } from "@tidegate/clock";

/** The part of a thread's port that is used. */
export interface BusPort {
  postMessage(message: unknown): void;
  on(event: "message", listener: (message: unknown) => void): unknown;
}

/** Answers questions of one kind; may wait. What it throws is told to who asked. */
export type BusHandler = (payload: unknown) => unknown;

/**
 * Questions and answers between the main thread and one worker, the same on both sides. Every question is
 * acknowledged by an answer, or fails at its deadline: nobody waits for a thread that died.
 */
export class Bus {
  readonly #port: BusPort;
  readonly #clock: Clock;
  readonly #handlers: Map<string, BusHandler>;
  /** Questions without an answer; each leaves at its deadline at the latest. */
  readonly #waiting = new Map<number, (answer: Answer) => void>();
  #lastId = 0;

  /** @param handlers by the kind of question they answer */
  constructor(port: BusPort, clock: Clock, handlers: Readonly<Record<string, BusHandler>>) {
    this.#port = port;
    this.#clock = clock;
    this.#handlers = new Map(Object.entries(handlers));
    port.on("message", (message) => void this.#received(message as Question | Answer));
  }

  /** Answers questions of one more kind from now on. */
  handle(kind: string, handler: BusHandler): void {
    this.#handlers.set(kind, handler);
  }

  /**
   * Asks the other side, and resolves with its answer.
   * @throws {Error} when it did not answer within `deadlineMs`, or its handler threw
   */
  ask(kind: string, payload: unknown, deadlineMs: number): Promise<unknown> {
    const id = ++this.#lastId;
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    const timer = this.#clock.after(deadlineMs, () => {
      this.#waiting.delete(id);
      reject(new Error(`Cannot ask "${kind}": no answer within ${deadlineMs} ms`));
    });
    this.#waiting.set(id, (answer) => {
      this.#waiting.delete(id);
      timer.cancel();
      if (answer.error === undefined) resolve(answer.value);
      else reject(new Error(`Cannot ask "${kind}": ${answer.error}`));
    });
    this.#port.postMessage({ ask: kind, id, payload } satisfies Question);
    return promise;
  }

  async #received(message: Question | Answer): Promise<void> {
    if ("answer" in message) {
      this.#waiting.get(message.answer)?.(message);
      return;
    }
    const { id, ask, payload } = message;
    try {
      const handler = this.#handlers.get(ask);
      if (handler === undefined) throw new Error("nobody answers it here");
      const value = await handler(payload);
      this.#port.postMessage({ answer: id, value } satisfies Answer);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      this.#port.postMessage({ answer: id, error: reason } satisfies Answer);
    }
  }
}

interface Question {
  readonly ask: string;
  readonly id: number;
  readonly payload: unknown;
}

interface Answer {
  readonly answer: number;
  readonly value?: unknown;
  readonly error?: string;
}

import type { BusHandler } from "./bus.ts";

/**
 * The main thread, as a part of the gateway on a worker has it. The same whether the data plane runs on workers or
 * on the main thread itself: there a question is a call.
 *
 * To add a part that both sides need (see `session/`, for one): its main side is made in `gateway.ts` and calls
 * `DataThreads.answer`; its worker side is made in `run-data-plane.ts` and gets this. What the worker must know before
 * it serves it asks for there, after it said `whenTold`: then nothing that is told meanwhile is lost. What goes over
 * must be cloneable; shared memory may go over too.
 */
export interface MainThread {
  /**
   * Asks the main side's handler of that kind.
   * @throws {Error} when it did not answer within `deadlineMs`, or threw
   */
  ask(kind: string, payload: unknown, deadlineMs: number): Promise<unknown>;
  /** What this worker does when the main thread tells all of them something of that kind. */
  whenTold(kind: string, handler: BusHandler): void;
}

/**
 * Tells every worker that serves, and resolves when each has acknowledged or is ended: one that does not acknowledge
 * within `deadlineMs`, or whose handler throws, would go on with what is not true any more.
 */
export type Tell = (kind: string, payload: unknown, deadlineMs: number) => Promise<void>;

/** The threads with a data plane, as parts on the main thread have them. Exists before the first of them runs. */
export class DataThreads {
  /** By kind of question; filled before the host starts. */
  readonly #answers = new Map<string, BusHandler>();
  /** Handlers on this thread: of its data plane, or of what it does for its workers. */
  readonly #told = new Map<string, BusHandler>();
  #tellWorkers: Tell | undefined;

  /** Answers questions of one kind; before the gateway starts its workers. What the handler throws, who asked gets. */
  answer(kind: string, handler: BusHandler): void {
    if (this.#answers.has(kind)) throw new Error(`Cannot answer "${kind}" twice`);
    this.#answers.set(kind, handler);
  }

  /** As `Tell`. Before the first worker serves there is nobody to tell, and what it asks for it finds as it is then. */
  readonly tell: Tell = async (kind, payload, deadlineMs) => {
    await this.#told.get(kind)?.(payload);
    await this.#tellWorkers?.(kind, payload, deadlineMs);
  };

  /** For who hosts workers: what they may ask. */
  get answers(): Readonly<Record<string, BusHandler>> {
    return Object.fromEntries(this.#answers);
  }

  /** For who hosts workers: how they are told. */
  set tellWorkers(tell: Tell) {
    this.#tellWorkers = tell;
  }

  /** For who hosts a data plane on this thread. */
  join(): MainThread {
    return {
      ask: async (kind, payload) => {
        const handler = this.#answers.get(kind);
        if (handler === undefined) throw new Error(`Cannot ask "${kind}": nobody answers it here`);
        return await handler(payload);
      },
      whenTold: (kind, handler) => void this.#told.set(kind, handler),
    };
  }
}

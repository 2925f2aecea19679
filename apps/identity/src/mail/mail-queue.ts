import type { Clock, Timer } from "@tidegate/clock";
import type { Logger } from "@tidegate/service-kit";
import { MailRefused, type Mailer, type Message } from "./mailer.ts";

/** Where pages leave letters. They never wait for a mail server. */
export interface MailQueue extends AsyncDisposable {
  /**
   * Leaves a letter, to be sent within ten minutes or given up.
   * @param kind says in the log what it was: recipients and contents are not logged
   * @returns false when the queue is full: nothing will be sent
   */
  post(kind: string, message: Message): boolean;
  readonly waiting: number;
}

/** Sends one letter after the other through `mailer`; a failure is tried again with growing pauses while others go on. */
export function createMailQueue(options: {
  readonly mailer: Mailer;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly maxWaiting?: number;
}): MailQueue {
  const { mailer, clock, logger, maxWaiting = MAX_WAITING } = options;
  const letters = new Set<Letter>();
  const closing = new AbortController();
  /** Bounded by MAX_IN_FLIGHT. */
  const running = new Set<Promise<void>>();

  const giveUp = (letter: Letter, error: unknown): void => {
    letters.delete(letter);
    logger.error({ event: "mail.failed", kind: letter.kind, tries: letter.tries, err: error });
  };

  const send = async (letter: Letter): Promise<void> => {
    letter.isRunning = true;
    letter.tries++;
    const timeout = new AbortController();
    const timer = clock.after(SEND_TIMEOUT_MS, () =>
      timeout.abort(new Error(`Cannot send mail: not taken within ${SEND_TIMEOUT_MS} ms`)),
    );
    try {
      await mailer.send(letter.message, AbortSignal.any([timeout.signal, closing.signal]));
      letters.delete(letter);
      logger.info({ event: "mail.sent", kind: letter.kind, tries: letter.tries });
    } catch (error) {
      const pauseMs = FIRST_PAUSE_MS * 4 ** (letter.tries - 1);
      const isLate = clock.monotonicMs() + pauseMs > letter.postedAtMs + DEADLINE_MS;
      if (error instanceof MailRefused || isLate || closing.signal.aborted) {
        giveUp(letter, error);
      } else {
        logger.warn({ event: "mail.retry", kind: letter.kind, tries: letter.tries, err: error });
        letter.timer = clock.after(pauseMs, () => {
          letter.timer = undefined;
          fill();
        });
      }
    } finally {
      timer.cancel();
      letter.isRunning = false;
    }
  };

  /** Starts what may start. */
  const fill = (): void => {
    for (const letter of letters) {
      if (running.size >= MAX_IN_FLIGHT) return;
      if (letter.isRunning || letter.timer !== undefined) continue;
      const sending = send(letter).finally(() => {
        running.delete(sending);
        fill();
      });
      running.add(sending);
    }
  };

  return {
    post(kind, message) {
      if (letters.size >= maxWaiting || closing.signal.aborted) {
        logger.error({ event: "mail.refused", kind, waiting: letters.size });
        return false;
      }
      letters.add({
        kind,
        message,
        postedAtMs: clock.monotonicMs(),
        tries: 0,
        isRunning: false,
        timer: undefined,
      });
      fill();
      return true;
    },
    get waiting() {
      return letters.size;
    },
    async [Symbol.asyncDispose]() {
      // What is being handed over gets a moment to end; what waits for another try is given up, and said so.
      const late = clock.after(CLOSE_TIMEOUT_MS, () =>
        closing.abort(new Error("Cannot send mail: the process is stopping")),
      );
      for (const letter of letters) {
        letter.timer?.cancel();
        if (!letter.isRunning && letter.timer !== undefined) {
          giveUp(letter, new Error("Cannot send mail: the process is stopping"));
        }
      }
      while (running.size > 0) await Promise.all(running);
      closing.abort();
      late.cancel();
      await mailer[Symbol.asyncDispose]();
    },
  };
}

interface Letter {
  readonly kind: string;
  readonly message: Message;
  /** Monotonic. */
  readonly postedAtMs: number;
  tries: number;
  isRunning: boolean;
  /** Set while it waits for another try. */
  timer: Timer | undefined;
}

/** Letters held in memory, a kilobyte each. When full, further ones are refused and the log says so. */
const MAX_WAITING = 200;
const MAX_IN_FLIGHT = 2;
const SEND_TIMEOUT_MS = 20_000;
/** 2 s, 8 s, 32 s, 128 s: a mail server that restarts is back by then. */
const FIRST_PAUSE_MS = 2_000;
/** A code that comes later than this has expired or was asked for again. */
const DEADLINE_MS = 600_000;
/** Under what the process has for closing its stores. */
const CLOSE_TIMEOUT_MS = 1_000;

import type { Random } from "@tidegate/clock";
import { encodePing } from "@tidegate/wire";

/**
 * The pings that we send to a silent client. Their payload is unpredictable to the upstream, so that a pong for a
 * ping of its own is never taken for ours; pongs of ours are not relayed.
 */
export class OwnPing {
  readonly #payload: Buffer;
  #lastMs: number;

  constructor(random: Random, nowMs: number) {
    this.#payload = random.bytes(8);
    this.#lastMs = nowMs;
  }

  isDue(nowMs: number, intervalMs: number): boolean {
    return nowMs - this.#lastMs >= intervalMs;
  }

  /** @returns the frame to send */
  next(nowMs: number): Buffer {
    this.#lastMs = nowMs;
    return encodePing(this.#payload);
  }

  isAnsweredBy(payload: Buffer, payloadBytes: number): boolean {
    return (
      payloadBytes === this.#payload.length && this.#payload.compare(payload, 0, payloadBytes) === 0
    );
  }
}

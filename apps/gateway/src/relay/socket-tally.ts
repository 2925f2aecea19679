/** Counts one direction of one socket for its record. One block of memory: there are many sockets. */
export class SocketTally {
  /** Time for which reading stood still because a limit said `delay`. */
  delayedMs = 0;
  readonly #classCount: number;
  /** Messages, bytes and dropped messages, each by class. */
  readonly #counts: Float64Array;

  constructor(classCount: number) {
    this.#classCount = classCount;
    this.#counts = new Float64Array(3 * classCount);
  }

  /** Messages were admitted at their first frame; `bytes` are those of all their frames. */
  admitted(classIndex: number, messages: number, bytes: number): void {
    this.#counts[classIndex]! += messages;
    this.#counts[this.#classCount + classIndex]! += bytes;
  }

  dropped(classIndex: number): void {
    this.#counts[2 * this.#classCount + classIndex]! += 1;
  }

  get messages(): Float64Array {
    return this.#counts.subarray(0, this.#classCount);
  }

  get bytes(): Float64Array {
    return this.#counts.subarray(this.#classCount, 2 * this.#classCount);
  }

  get droppedMessages(): Float64Array {
    return this.#counts.subarray(2 * this.#classCount);
  }
}

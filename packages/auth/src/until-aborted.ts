/**
 * Waits for `shared` on behalf of one caller: rejects with the signal's reason as soon as it is aborted. What is
 * shared goes on for the others.
 */
export function untilAborted<Value>(shared: Promise<Value>, signal: AbortSignal): Promise<Value> {
  return new Promise((resolve, reject) => {
    const leave = (): void => reject(reasonOf(signal));
    if (signal.aborted) leave();
    else signal.addEventListener("abort", leave, { once: true });
    // Listened to in any case, so that a failure after the caller left is not an unhandled one.
    void shared.then(resolve, reject).finally(() => signal.removeEventListener("abort", leave));
  });
}

function reasonOf({ reason }: AbortSignal): Error {
  return reason instanceof Error ? reason : new Error("aborted", { cause: reason });
}

import type { Clock } from "@tidegate/clock";

/** The value of Date (RFC 9110 §6.6.1), made once per second. @returns a function for one listener */
export function createHttpDate(clock: Clock): () => string {
  let second = Number.NaN;
  let text = "";
  return () => {
    const now = Math.floor(clock.wallMs() / 1_000);
    if (now !== second) {
      second = now;
      text = new Date(now * 1_000).toUTCString();
    }
    return text;
  };
}

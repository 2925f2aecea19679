import type { Clock } from "@tidegate/clock";

/** What is used of the socket that the `upgrade` event gives. */
export interface UpgradeSocketLike {
  readonly destroyed: boolean;
  once(event: "close" | "finish", listener: () => void): unknown;
  on(event: "error", listener: (error: Error) => void): unknown;
  end(bytes: string): unknown;
  destroy(): unknown;
}

/** A client that does not take its answer for so long is cut off without. */
const ANSWER_GRACE_MS = 1_000;

const REASONS = {
  413: "Content Too Large",
  429: "Too Many Requests",
  500: "Internal Server Error",
} as const;

/** Answers an upgrade on the raw socket and ends it: in the `upgrade` event nobody else does. */
export function refuseUpgrade(
  socket: UpgradeSocketLike,
  clock: Clock,
  answer: {
    readonly status: keyof typeof REASONS;
    readonly fields: Readonly<Record<string, string>>;
    readonly body: string;
  },
): void {
  const { status, fields, body } = answer;
  const lines = [
    `HTTP/1.1 ${status} ${REASONS[status]}`,
    "Connection: close",
    `Content-Length: ${Buffer.byteLength(body)}`,
    ...Object.entries(fields).map(([name, value]) => `${name}: ${value}`),
  ];
  // A reset by the client while we answer is nobody's failure, and without a listener it would end the process.
  socket.on("error", () => {});
  const deadline = clock.after(ANSWER_GRACE_MS, () => socket.destroy());
  socket.once("close", () => deadline.cancel());
  socket.once("finish", () => socket.destroy());
  socket.end(`${lines.join("\r\n")}\r\n\r\n${body}`);
}

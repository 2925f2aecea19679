import { STATUS_CODES } from "node:http";
import type { Socket } from "node:net";
import type { Clock } from "@tidegate/clock";
import { toClientHandshakeFields } from "./fields.ts";
import type { UpstreamReader } from "./upstream-reader.ts";
import type { UpgradeAnswer } from "./upgrade-answer.ts";

/** A refusal says why in a page or a problem document; what is longer is cut, and so is the connection. */
const MAX_REFUSAL_BYTES = 1_048_576;

/** Longest time for all of it: the connection serves nothing else, and is closed after it. */
const REFUSAL_TIMEOUT_MS = 10_000;

/**
 * Makes an upstream's answer other than 101 the client's answer, as the upstream said it, and closes both
 * connections. Early bytes of the client were never sent upstream, so nothing is smuggled in behind it.
 *
 * @returns bytes of the body that went to the client
 */
export async function passRefusal(
  answer: UpgradeAnswer,
  {
    client,
    upstream,
    reader,
    clock,
  }: {
    readonly client: Socket;
    readonly upstream: Socket;
    /** Of the upstream's socket. */
    readonly reader: UpstreamReader;
    readonly clock: Clock;
  },
): Promise<number> {
  const { head, body } = answer;
  const { promise, resolve } = Promise.withResolvers<void>();
  let sentBytes = 0;
  let isCut = false;
  const cut = (): void => {
    isCut = true;
    resolve();
  };
  const timer = clock.after(REFUSAL_TIMEOUT_MS, cut);
  const send = (chunk: Buffer): void => {
    sentBytes += chunk.length;
    if (sentBytes > MAX_REFUSAL_BYTES) cut();
    else if (!isCut && !client.write(chunk)) upstream.pause();
  };
  const onData = (chunk: Buffer): void => {
    if (body.read(chunk, send) !== undefined) cut();
    else if (body.isWhole) resolve();
  };
  client.write(toHead(answer), "latin1");
  client.on("drain", () => upstream.resume());
  client.on("close", cut);
  client.resume(); // what it sends now is nobody's
  upstream.on("error", cut);
  upstream.on("end", () => (body.end() === undefined ? resolve() : cut()));
  upstream.on("close", cut);
  if (body.isWhole) resolve();
  else {
    if (answer.rest.length > 0) onData(answer.rest);
    reader.readTo(onData);
    upstream.resume();
  }
  await promise;
  timer.cancel();
  upstream.destroy();
  // Cut, an answer without length would look whole if the connection ended in order.
  if (isCut) client.resetAndDestroy();
  else {
    client.end();
    const last = clock.after(REFUSAL_TIMEOUT_MS, () => client.destroy());
    client.once("close", () => last.cancel());
  }
  return head.status === 204 || head.status === 304 ? 0 : Math.min(sentBytes, MAX_REFUSAL_BYTES);
}

function toHead({ head }: UpgradeAnswer): string {
  const lines = [`HTTP/1.1 ${head.status} ${STATUS_CODES[head.status] ?? "Unknown"}`];
  const fields = toClientHandshakeFields(head.fields);
  for (let at = 0; at < fields.length; at += 2) lines.push(`${fields[at]}: ${fields[at + 1]}`);
  if (head.bodyBytes >= 0 && head.status !== 204) lines.push(`Content-Length: ${head.bodyBytes}`);
  lines.push("Connection: close", "", "");
  return lines.join("\r\n");
}

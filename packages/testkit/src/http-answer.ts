// Reads one HTTP/1.1 answer from a raw connection, strictly: what it does not understand, it throws at.

import type { RawConnection } from "./raw-connection.ts";

export interface RawAnswer {
  readonly status: number;
  readonly reason: string;
  /** Names and values as they came, in order. */
  readonly fields: readonly (readonly [name: string, value: string])[];
  /** The value of the only field of that name; undefined when there is none. @throws when there are several */
  field(name: string): string | undefined;
  readonly body: Buffer;
  readonly trailers: readonly (readonly [name: string, value: string])[];
  /** The head as it came, for byte-exact claims. */
  readonly head: string;
}

/**
 * Takes one answer off the connection: by Content-Length, by chunks, or to the end.
 * @param options.method of the request: an answer to HEAD has no body
 */
export async function readAnswer(
  connection: RawConnection,
  options: { readonly method?: string; readonly deadlineMs?: number } = {},
): Promise<RawAnswer> {
  const limit = options.deadlineMs === undefined ? {} : { deadlineMs: options.deadlineMs };
  const head = (await connection.readUntil("\r\n\r\n", limit)).toString("latin1");
  const lines = head.slice(0, -4).split("\r\n");
  const start = /^HTTP\/1\.[01] (\d{3}) ?(.*)$/.exec(lines[0] ?? "");
  if (!start)
    throw new Error(`Cannot read an answer: not a status line: ${JSON.stringify(lines[0])}`);
  const status = Number(start[1]);
  const fields = lines.slice(1).map(toField);
  const field = (name: string): string | undefined => {
    const found = fields.filter(([one]) => one.toLowerCase() === name.toLowerCase());
    if (found.length > 1)
      throw new Error(`Cannot read field ${name}: it is there ${found.length} times`);
    return found[0]?.[1];
  };
  const answer = { status, reason: start[2] ?? "", fields, field, head };
  const none = { ...answer, body: Buffer.alloc(0), trailers: [] };
  // RFC 9112 §6.3: these never have a body, whatever their fields say.
  if (options.method === "HEAD" || status < 200 || status === 204 || status === 304) return none;
  if (field("transfer-encoding")?.toLowerCase() === "chunked") {
    return { ...answer, ...(await readChunks(connection, limit)) };
  }
  const length = field("content-length");
  if (length === undefined) {
    return { ...answer, body: await connection.readToEnd(limit), trailers: [] };
  }
  return { ...none, body: await connection.readBytes(Number(length), limit) };
}

async function readChunks(
  connection: RawConnection,
  limit: { readonly deadlineMs?: number },
): Promise<Pick<RawAnswer, "body" | "trailers">> {
  const pieces: Buffer[] = [];
  for (;;) {
    const line = (await connection.readUntil("\r\n", limit)).toString("latin1");
    const size = /^([0-9a-fA-F]+)(;.*)?\r\n$/.exec(line)?.[1];
    if (size === undefined)
      throw new Error(`Cannot read a chunk: bad size line ${JSON.stringify(line)}`);
    const count = Number.parseInt(size, 16);
    if (count === 0) break;
    pieces.push(await connection.readBytes(count, limit));
    const end = (await connection.readBytes(2, limit)).toString("latin1");
    if (end !== "\r\n") throw new Error(`Cannot read a chunk: it ends with ${JSON.stringify(end)}`);
  }
  const trailers: (readonly [string, string])[] = [];
  for (;;) {
    const line = (await connection.readUntil("\r\n", limit)).toString("latin1").slice(0, -2);
    if (line === "") return { body: Buffer.concat(pieces), trailers };
    trailers.push(toField(line));
  }
}

function toField(line: string): readonly [string, string] {
  const colon = line.indexOf(":");
  if (colon < 1) throw new Error(`Cannot read a field: ${JSON.stringify(line)}`);
  return [line.slice(0, colon), line.slice(colon + 1).trim()];
}

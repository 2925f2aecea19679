import { STATUS_CODES } from "node:http";
import type { Duplex } from "node:stream";

/**
 * Writes an answer onto a connection that has no parser any more (a refused upgrade, a broken request) and
 * ends our side of it. @param fields flat list of names and values
 */
export function writeRawAnswer(
  socket: Duplex,
  status: number,
  { fields, body }: { fields: readonly string[]; body: string },
): void {
  if (!socket.writable) {
    socket.destroy();
    return;
  }
  const lines = [`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? "Refused"}`];
  for (let at = 0; at + 1 < fields.length; at += 2) lines.push(`${fields[at]}: ${fields[at + 1]}`);
  lines.push(`Content-Length: ${Buffer.byteLength(body)}`, "Connection: close", "", body);
  socket.end(lines.join("\r\n"));
}

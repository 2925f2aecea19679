import { toClientFields } from "../forward/answer-fields.ts";

/** Every value of the field `name` (lower case) in a flat list of names and values, in order. */
export function fieldValues(fields: readonly string[], name: string): string[] {
  const values: string[] = [];
  for (let at = 0; at + 1 < fields.length; at += 2) {
    if (fields[at]!.toLowerCase() === name) values.push(fields[at + 1]!);
  }
  return values;
}

/**
 * What of an upstream's answer to a handshake goes to the client: as of any answer, and without the handshake's own
 * fields. Those speak of our handshake with the upstream; the client's is answered by us.
 */
export function toClientHandshakeFields(fields: readonly string[]): string[] {
  const kept = toClientFields(fields);
  return kept.filter((_, at) => !kept[at - (at % 2)]!.toLowerCase().startsWith("sec-websocket-"));
}

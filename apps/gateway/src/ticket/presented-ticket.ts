import type { RequestHead } from "../accept/request-head.ts";
import { fieldValues } from "../relay/fields.ts";

const PARAMETER = "tidegate_ticket";
const SUBPROTOCOL = "tidegate.ticket.";

/** Stands for more than one ticket at once; no ticket is empty. */
export const SEVERAL_TICKETS = "";

/**
 * The ticket that a handshake shows: in the query, or as a subprotocol, which is all that a browser's script can set.
 * @returns undefined when it shows none, `SEVERAL_TICKETS` when it shows more than one
 */
export function presentedTicket({
  query,
  fields,
}: Pick<RequestHead, "query" | "fields">): string | undefined {
  const shown: string[] = [];
  if (query.includes(PARAMETER))
    for (const pair of query.slice(1).split("&"))
      if (pair === PARAMETER || pair.startsWith(`${PARAMETER}=`))
        shown.push(pair.slice(PARAMETER.length + 1));
  for (const value of fieldValues(fields, "sec-websocket-protocol"))
    for (const name of value.split(","))
      if (isTicketSubprotocol(name.trim())) shown.push(name.trim().slice(SUBPROTOCOL.length));
  if (shown.length > 1) return SEVERAL_TICKETS;
  // What has not the form of a ticket is one that is not known, and not the absence of one.
  return shown[0] === "" ? "?" : shown[0];
}

/** A query without the ticket parameter, which is a credential and ends here. @param query with `?`, or empty */
export function withoutTicket(query: string): string {
  if (!query.includes(PARAMETER)) return query;
  const rest = query
    .slice(1)
    .split("&")
    .filter((pair) => pair !== PARAMETER && !pair.startsWith(`${PARAMETER}=`));
  return rest.length === 0 ? "" : `?${rest.join("&")}`;
}

/** Whether an offered subprotocol is a ticket, which is a credential: it is neither echoed nor passed on. */
export function isTicketSubprotocol(name: string): boolean {
  return name.startsWith(SUBPROTOCOL);
}

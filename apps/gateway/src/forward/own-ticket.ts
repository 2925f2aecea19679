const PARAMETER = "tidegate_ticket";
const SUBPROTOCOL = "tidegate.ticket.";

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

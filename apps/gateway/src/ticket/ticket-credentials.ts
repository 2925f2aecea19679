import { frozenPrincipal } from "@tidegate/auth";
import { refuse, refuseCredential } from "../identify/ask-verifiers.ts";
import type { CredentialKind } from "../identify/credential-kind.ts";
import { REASON } from "../judge/reason.ts";
import type { Log } from "../record/logger.ts";
import type { MainThread } from "../worker/data-threads.ts";
import { presentedTicket, SEVERAL_TICKETS } from "./presented-ticket.ts";
import { REDEEM_TICKET, type TicketHolder, type TicketPlace } from "./ticket-desk.ts";

/** A handshake that shows a ticket. Whoever minted it vouches; everything else about the caller is judged anew. */
export function ticketCredentials(
  main: Pick<MainThread, "ask">,
  { log }: { readonly log: Log },
): CredentialKind {
  return {
    name: "ticket",
    identify({ head }, refusal) {
      const ticket = presentedTicket(head);
      if (ticket === SEVERAL_TICKETS) return refuse(refusal, REASON.credential_ambiguous);
      if (ticket === undefined || !TICKET.test(ticket))
        return refuseCredential("shape", { refusal, log });
      const place: TicketPlace = { host: head.host, path: head.path, origin: head.origin };
      return main.ask(REDEEM_TICKET, { ticket, place }, ANSWER_DEADLINE_MS).then(
        (answer) => {
          const holder = answer as TicketHolder | undefined;
          if (holder === undefined) return refuseCredential("ticket", { refusal, log });
          const { identity, connectionId } = holder;
          return { ...identity, principal: frozenPrincipal(identity.principal), connectionId };
        },
        // The main thread does not answer; the ticket may be good, and is still there.
        () => refuse(refusal, REASON.identity_unavailable),
      );
    },
    readiness: () => [],
    [Symbol.dispose]() {},
  };
}

const TICKET = /^[\w-]{43}$/;
const ANSWER_DEADLINE_MS = 2_000;

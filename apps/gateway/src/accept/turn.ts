import type { Flaw } from "./request-line.ts";
import type { ParsedHead } from "./request-parser.ts";
import type { Http1Connection } from "./http1-connection.ts";

/** A request whose turn may still have to come. */
export interface Turn {
  readonly head: ParsedHead;
  /** Whether it asked for an upgrade that cannot be given. */
  readonly isRefusedUpgrade: boolean;
}

export interface ConnectionOwner {
  readonly isDraining: boolean;
  readonly headerTimeoutMs: number;
  readonly idleTimeoutMs: number;
  readonly maxHeaderBytes: number;
  readonly tailOfKept: string;
  dateLine(): string;
  /** It is this request's turn: makes its body and answer (`answering`) and sends it along the road. */
  serve(connection: Http1Connection, turn: Turn): void;
  /** A request that asks for an upgrade. @returns whether the connection is something else from now on */
  upgrades(connection: Http1Connection, head: ParsedHead, early: Buffer): boolean;
  /** Answers bytes that are no request, by `refuseRaw`. */
  refuseFlaw(connection: Http1Connection, flaw: Flaw): void;
  /** From now on an answer is owed. */
  began(): void;
  /** Nothing is owed any more, or nobody is there to take it. */
  idled(): void;
  closed(connection: Http1Connection): void;
}

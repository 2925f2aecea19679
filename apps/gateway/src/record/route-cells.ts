// Where in a route's block each counter stands. One dense block: an index is computed, never looked up.

import { FAULTS, type FaultName } from "../fault.ts";
import { REASON_BY_CODE } from "../judge/reason.ts";
import { ADDED_BOUNDS_MS, DURATION_BOUNDS_MS, histogramCells } from "./histogram.ts";

/** Status by class; what is no HTTP status (a client that left before an answer) has its own. */
export const STATUS_CLASSES = ["none", "1xx", "2xx", "3xx", "4xx", "5xx"] as const;
export const KINDS = ["request", "handshake"] as const;
const isFaultName = (name: string): name is FaultName => Object.hasOwn(FAULTS, name);
export const FAULT_NAMES = Object.keys(FAULTS).filter(isFaultName);
export const ENDERS = ["client", "upstream", "gateway"] as const;

/**
 * Close codes that have a counter. A peer may send any code of 1000 to 4999, so the rest is counted together:
 * labels must not be for others to choose.
 */
export const CLOSE_CODES = [
  1000, 1001, 1002, 1003, 1005, 1006, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 4400, 4401,
  4403, 4404, 4410, 4413, 4429, 4501, 4503, 4508, 4510, 4512,
] as const;
const CLOSE_CODE_INDEX: ReadonlyMap<number, number> = new Map(
  CLOSE_CODES.map((code, index) => [code, index]),
);
/** One more than the codes: the last is for all others. */
export const CLOSE_CODE_COUNT = CLOSE_CODES.length + 1;

const REQUESTS = 0;
const FAULT_CELLS = REQUESTS + KINDS.length * REASON_BY_CODE.length * STATUS_CLASSES.length;
const SOCKETS_ENDED = FAULT_CELLS + FAULT_NAMES.length;

/** Requests and handshakes, by `requestCell`. */
export const requestCell = (kind: number, reason: number, status: number): number =>
  REQUESTS +
  (kind * REASON_BY_CODE.length + reason) * STATUS_CLASSES.length +
  statusClassIndex(status);

/** Requests that ended in a fault, by its position in the table. */
export const faultCell = (fault: FaultName): number => FAULT_CELLS + FAULT_NAMES.indexOf(fault);

/** Sockets that ended, by close code and who ended them. */
export const endedCell = (closeCode: number, ender: number): number =>
  SOCKETS_ENDED + (CLOSE_CODE_INDEX.get(closeCode) ?? CLOSE_CODES.length) * ENDERS.length + ender;

/** Refused handshakes that were told by a close code. */
export const handshakeClosedCell = (closeCode: number): number =>
  HANDSHAKES_CLOSED + (CLOSE_CODE_INDEX.get(closeCode) ?? CLOSE_CODES.length);

/** Sockets that were opened; those open now are these less those that ended. */
export const OPENED_CELL = SOCKETS_ENDED + CLOSE_CODE_COUNT * ENDERS.length;
const HANDSHAKES_CLOSED = OPENED_CELL + 1;
export const DURATION_CELLS = HANDSHAKES_CLOSED + CLOSE_CODE_COUNT;
export const ADDED_CELLS = DURATION_CELLS + histogramCells(DURATION_BOUNDS_MS);
export const ROUTE_CELL_COUNT = ADDED_CELLS + histogramCells(ADDED_BOUNDS_MS);

function statusClassIndex(status: number): number {
  const hundreds = Math.floor(status / 100);
  // 499 is ours alone: the client went away, so nobody saw a status.
  return hundreds >= 1 && hundreds <= 5 && status !== 499 ? hundreds : 0;
}

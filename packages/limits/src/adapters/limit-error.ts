import type { Refusal } from "./call-limit.ts";

/** What a Socket.IO client is told of a refusal: in `data` of its `connect_error`, or as `error` of an acknowledgement. */
export interface RefusalData {
  readonly status: 413 | 429;
  /** Names of the limits that refused. */
  readonly violatedPolicies: readonly string[];
  /** Left out when coming back is no use. */
  readonly retryAfterSeconds?: number;
}

/** Socket.IO's own form of a refusal: of an error given to `next`, `message` and `data` reach the client. */
export class LimitError extends Error {
  readonly data: RefusalData;

  constructor(refusal: Refusal) {
    super(refusal.isImpossible ? "impossible-cost" : "quota-exceeded");
    this.name = "LimitError";
    const { retryAfterSeconds } = refusal;
    this.data = {
      status: refusal.isImpossible ? 413 : 429,
      violatedPolicies: refusal.violated,
      ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }),
    };
  }
}

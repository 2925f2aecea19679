/** What judging a call can come to. Numbers, because a message's verdict must not allocate. */
export const VERDICT = {
  admit: 0,
  /** The call itself is wrong: shape, route, contract, size. */
  reject: 1,
  /** The caller must show a credential, a better or a fresher one. */
  challenge: 2,
  /** The caller is known and may not. */
  forbid: 3,
  /** A limit is used up. */
  throttle: 4,
  /** The caller sits in the penalty box. */
  boxed: 5,
  /** We protect ourselves or an upstream. */
  shed: 6,
  /** Something we need to decide is out of reach. */
  unavailable: 7,
} as const;
export type Verdict = (typeof VERDICT)[keyof typeof VERDICT];

/** Returned by `Policy.judge` when the answer takes a wait; `Policy.pending` then gives it. */
export const PENDING = -1;

/** Names for logs and metrics, indexed by verdict. */
export const VERDICT_NAMES = [
  "admit",
  "reject",
  "challenge",
  "forbid",
  "throttle",
  "boxed",
  "shed",
  "unavailable",
] as const satisfies readonly (keyof typeof VERDICT)[];

/** `Refusal.detail` of a credential that is refused for want of a proof of possession (RFC 9449). */
export interface ProofDetail {
  readonly isProofWanted: true;
  /** What the next proof must carry; empty when no nonce is asked for. */
  readonly nonce: string;
}

export const PROOF_WANTED: ProofDetail = { isProofWanted: true, nonce: "" };

export const isProofDetail = (detail: unknown): detail is ProofDetail =>
  typeof detail === "object" && detail !== null && "isProofWanted" in detail;

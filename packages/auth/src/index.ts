export { ANONYMOUS, type Principal } from "./principal.ts";

// The forwarded assertion: made by the gateway, read by services.
export type { AssertedIdentity } from "./assertion-claims.ts";
export {
  AssertionRefused,
  createAssertionVerifier,
  type AssertionVerifier,
  type AssertionVerifierOptions,
} from "./assertion-verifier.ts";
export {
  createAssertionSigner,
  type AssertionSigner,
  type AssertionSignerOptions,
} from "./assertion-signer.ts";
export {
  loadAssertionKeys,
  rotateAssertionKeys,
  type AssertionKey,
  type AssertionKeys,
  type PublicJwk,
} from "./assertion-keys.ts";
export type { KeyLoad } from "./key-set.ts";
export type { Fetch } from "./remote-json.ts";

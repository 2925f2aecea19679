export { ANONYMOUS, frozenPrincipal, type Principal } from "./principal.ts";
export {
  mergeProfiles,
  PROFILE_CLAIMS,
  readProfile,
  type Profile,
  type ProfileClaim,
} from "./profile.ts";

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
  type AssertionAudience,
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

// Credentials: what callers present, and what checking it came to.
export {
  createAccessTokenVerifier,
  type AccessTokenVerifier,
  type AccessTokenVerifierOptions,
  type PresentedToken,
} from "./access-token-verifier.ts";
export {
  createProofVerifier,
  type ProofAnswer,
  type ProofVerifier,
  type ProofVerifierOptions,
} from "./dpop-proof.ts";
export {
  createIntrospectionVerifier,
  type IntrospectionVerifier,
  type IntrospectionVerifierOptions,
} from "./introspection-verifier.ts";
export type { ClientCredentials } from "./client-authentication.ts";
export { createProofNonces, type ProofNonces } from "./proof-nonces.ts";
export {
  attachReplayMemory,
  createReplayTable,
  type ReplayMemory,
  type ReplayTable,
} from "./replay-memory.ts";
export { SIGNATURE_ALGORITHMS, type SignatureAlgorithm } from "./token-header.ts";
export { tokenFingerprint } from "./token-memory.ts";
export { MAX_TOKEN_LENGTH, parseToken, type TokenParts } from "./token-shape.ts";
export type { Accepted, InvalidWhy, Verification } from "./verification.ts";

// What has been withdrawn before its time, and who reports it.
export type { Revocation, RevocationEntry } from "./revocation.ts";
export { isEndedBy, RevocationIndex } from "./revocation-index.ts";
export type {
  EventInvalidWhy,
  EventTokenVerifier,
  EventTokenVerifierOptions,
  EventVerification,
} from "./event-token.ts";
export { createLogoutTokenVerifier, type Logout } from "./logout-token.ts";
export {
  createSecurityEventVerifier,
  type RevokedSubject,
  type SecurityEvent,
} from "./security-event-token.ts";

// HTTP Basic against a users file.
export { parseBasicCredentials, type BasicCredentials } from "./basic-credentials.ts";
export { createHashingPool, type HashingPool } from "./hashing-pool.ts";
export {
  createDummyHash,
  DEFAULT_COST,
  hashPassword,
  parsePasswordHash,
  verifyPassword,
  type DeriveKey,
  type PasswordHash,
} from "./password-hash.ts";
export {
  createPasswordVerifier,
  type PasswordVerifier,
  type PasswordVerifierOptions,
} from "./password-verifier.ts";
export {
  createProviderPasswordVerifier,
  type ProviderPasswordVerifierOptions,
} from "./provider-password-verifier.ts";
export { BASIC_ACR, parseUsersFile, setUser, type User, type UsersFile } from "./users-file.ts";
export { openUsersFile, type UsersSource } from "./users-source.ts";

// API keys of programs.
export { API_KEY_PREFIX } from "./api-key.ts";
export { createKeyVerifier, type KeyVerifier } from "./key-verifier.ts";
export { readKeyUses, writeKeyUses } from "./key-uses.ts";
export { parseKeysFile, type ApiKey, type KeysFile } from "./keys-file.ts";
export { keysFileWriter, type KeysFileWriter } from "./keys-file-writer.ts";
export { openKeysFile, type KeysSource } from "./keys-source.ts";

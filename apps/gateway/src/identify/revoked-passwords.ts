import type { PasswordVerifier, Revocation } from "@tidegate/auth";
import type { DataThreads } from "../worker/data-threads.ts";

/** Told to every thread that remembers passwords, with the issuers whose people were revoked. */
export const FORGET_REVOKED_PASSWORDS = "forget-revoked-passwords";

/** A worker that needs longer would let in by what it remembers, and is ended. */
const ACKNOWLEDGE_DEADLINE_MS = 1_000;

/**
 * Makes all threads forget the passwords of issuers that a revocation of a person speaks of: the next call with one asks
 * again. Everybody's, as memories know passwords by their digest alone; it costs each a check.
 *
 * What it tells the threads it tells before it returns. Said before the revocation itself, a thread then has nothing to
 * remember once it has ended what was open, and nothing that it remembered slips in between.
 */
export async function forgetRevokedPasswords(
  revocations: readonly Revocation[],
  dataThreads: Pick<DataThreads, "tell">,
): Promise<void> {
  const issuers = revocations.filter(({ kind }) => kind === "subject").map(({ issuer }) => issuer);
  if (issuers.length === 0) return;
  await dataThreads.tell(FORGET_REVOKED_PASSWORDS, [...new Set(issuers)], ACKNOWLEDGE_DEADLINE_MS);
}

/** What a thread does when it is told. */
export function forgetPasswordsOf(
  verifiers: Iterable<PasswordVerifier>,
  issuers: readonly string[],
): void {
  for (const verifier of verifiers) if (issuers.includes(verifier.issuer)) verifier.forget();
}

import { compactVerify, errors } from "jose";
import type { SignatureAlgorithm } from "./token-header.ts";
import type { VerificationKey } from "./verification-key.ts";

/**
 * Whether `token` is signed by `key`. The one place that asks the library; shape, header and key were vetted by us
 * before, and the claims are read by us afterwards.
 * @throws when the check itself failed, which says nothing about the token
 */
export async function hasValidSignature(
  token: string,
  key: VerificationKey,
  algorithm: SignatureAlgorithm,
): Promise<boolean> {
  try {
    await compactVerify(token, key.key, { algorithms: [algorithm] });
    return true;
  } catch (error) {
    if (error instanceof errors.JOSEError) return false;
    throw error;
  }
}

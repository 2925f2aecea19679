import type { Clock } from "@tidegate/clock";
import { hashApiKey, isApiKey, parseApiKey } from "./api-key.ts";
import type { Principal } from "./principal.ts";
import type { KeysSource } from "./keys-source.ts";
import { invalid, type Verification } from "./verification.ts";

/** Checks API keys against a keys file. A key costs one hash, known or not, and no wait. */
export interface KeyVerifier {
  /** The keys file's own issuer. */
  readonly issuer: string;
  verify(text: string): Verification;
  /**
   * Who somebody is now that was let in by a key of this file earlier, for what lives on: with the end that their secret
   * has by now. Undefined when the key or the secret is withdrawn, has ended, or no longer has all their scopes.
   */
  renew(principal: Principal): Principal | undefined;
}

export function createKeyVerifier({
  keys,
  clock,
}: {
  readonly keys: KeysSource;
  readonly clock: Clock;
}): KeyVerifier {
  return {
    issuer: keys.current.issuer,
    verify(text) {
      const parsed = parseApiKey(text);
      if (parsed === undefined) return invalid("shape");
      const key = keys.current.keys.get(parsed.id);
      const secret = key?.secrets.find(({ hash }) => isApiKey(text, hash));
      // Whoever has the secret may learn what became of the key; nobody else learns that there is one.
      if (key === undefined || secret === undefined) return invalid("key-unknown");
      if (key.isDisabled) return invalid("inactive");
      if (clock.wallMs() >= secret.expiresAtMs) return invalid("expired");
      // The hash of the file is not what stands for the key in memories.
      const fingerprint = hashApiKey(`fingerprint ${text}`);
      return { outcome: "accepted", principal: secret.principal, fingerprint };
    },
    renew({ subject, secretId, scopes }) {
      const key = keys.current.keys.get(subject);
      if (key === undefined || key.isDisabled) return undefined;
      const secret = key.secrets.find(({ principal }) => principal.secretId === secretId);
      if (secret === undefined || clock.wallMs() >= secret.expiresAtMs) return undefined;
      return scopes.isSubsetOf(secret.principal.scopes) ? secret.principal : undefined;
    },
  };
}

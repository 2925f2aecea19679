import type { Clock } from "@tidegate/clock";
import { hashApiKey, isApiKey, parseApiKey } from "./api-key.ts";
import type { KeysSource } from "./keys-source.ts";
import { invalid, type Verification } from "./verification.ts";

/** Checks API keys against a keys file. A key costs one hash, known or not, and no wait. */
export interface KeyVerifier {
  /** The keys file's own issuer. */
  readonly issuer: string;
  verify(text: string): Verification;
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
  };
}

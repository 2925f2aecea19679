import type { Clock } from "@tidegate/clock";
import { calculateJwkThumbprint, exportJWK, generateKeyPair, type JWK } from "jose";
import { readPrivateJson, writePrivateJson } from "./private-json.ts";

export const SIGNING_ALGORITHM = "ES256";

/** A private key with the time it was made. */
export interface SigningKey {
  readonly jwk: JWK & { readonly kid: string };
  readonly createdAtSeconds: number;
}

/** The keys the provider has at one moment: the first signs, all are published. */
export interface KeyPlan {
  readonly keys: readonly SigningKey[];
  /** Whether a new key has to be made and added at the end. */
  readonly needsNew: boolean;
}

/** How often a new key takes over. */
export const ROTATE_AFTER_SECONDS = 90 * 86_400;
/** A new key is published this long before it signs, so that every verifier has fetched it by then. */
export const PUBLISH_AHEAD_SECONDS = 86_400;
/** A key that no longer signs stays published: ID tokens come back as `id_token_hint` weeks later. */
export const RETIRE_AFTER_SECONDS = 30 * 86_400;

/**
 * Orders keys for the moment: the newest that has been published for a day signs; younger ones wait at the end; older ones
 * stay between them until they are retired.
 */
export function planKeys(known: readonly SigningKey[], nowSeconds: number): KeyPlan {
  const newestFirst = [...known].sort(
    (one, other) => other.createdAtSeconds - one.createdAtSeconds,
  );
  const newest = newestFirst[0];
  const signing =
    newestFirst.find((key) => nowSeconds - key.createdAtSeconds >= PUBLISH_AHEAD_SECONDS) ??
    newestFirst.at(-1);
  if (newest === undefined || signing === undefined) return { keys: [], needsNew: true };
  const coming = newestFirst.slice(0, newestFirst.indexOf(signing));
  const signsSinceSeconds = signing.createdAtSeconds + PUBLISH_AHEAD_SECONDS;
  const former = newestFirst
    .slice(newestFirst.indexOf(signing) + 1)
    .filter(() => nowSeconds - signsSinceSeconds < RETIRE_AFTER_SECONDS);
  return {
    keys: [signing, ...former, ...coming],
    needsNew: nowSeconds - newest.createdAtSeconds >= ROTATE_AFTER_SECONDS,
  };
}

/** The provider's signing keys in a private file; what it answers is always what the file has. */
export class SigningKeys {
  readonly #file: string;
  readonly #clock: Clock;
  #keys: readonly SigningKey[];

  private constructor(file: string, clock: Clock, keys: readonly SigningKey[]) {
    this.#file = file;
    this.#clock = clock;
    this.#keys = keys;
  }

  /** Reads the file; makes it with a first key when it is not there. */
  static async open(options: {
    readonly file: string;
    readonly clock: Clock;
  }): Promise<SigningKeys> {
    const { file, clock } = options;
    const known = readPrivateJson(file);
    if (known !== undefined && !isKeyFile(known)) {
      throw new Error(`Cannot read ${file}: it does not hold signing keys`);
    }
    const keys = new SigningKeys(file, clock, known?.keys ?? []);
    await keys.refresh();
    return keys;
  }

  /** As the library takes them: the first one signs. */
  get jwks(): { readonly keys: readonly SigningKey["jwk"][] } {
    return { keys: this.#plan().keys.map(({ jwk }) => jwk) };
  }

  /** Makes a key when one is due and drops what is retired. @returns whether the published keys changed */
  async refresh(): Promise<boolean> {
    const before = this.#keys;
    if (this.#plan().needsNew) await this.#add();
    const { keys } = this.#plan();
    if (keys.length === before.length && keys.every((key, index) => key === before[index])) {
      return false;
    }
    this.#write(keys);
    return true;
  }

  /**
   * Adds a key ahead of its time. It signs when it has been published for a day, or at once when the present keys may be
   * in somebody's hands: then they are no longer published, and every token they signed is refused.
   */
  async rotate(when: "in-order" | "at-once"): Promise<void> {
    if (when === "at-once") this.#keys = [];
    await this.#add();
    this.#write(this.#plan().keys);
  }

  #plan(): KeyPlan {
    return planKeys(this.#keys, this.#nowSeconds());
  }

  async #add(): Promise<void> {
    // Later than every other, also within one second or after the clock was set back: the order says which one signs.
    const times = this.#keys.map(({ createdAtSeconds }) => createdAtSeconds + 1);
    this.#keys = [...this.#keys, await makeKey(Math.max(this.#nowSeconds(), ...times))];
  }

  #write(keys: readonly SigningKey[]): void {
    this.#keys = keys;
    writePrivateJson(this.#file, { keys });
  }

  #nowSeconds(): number {
    return Math.floor(this.#clock.wallMs() / 1_000);
  }
}

async function makeKey(createdAtSeconds: number): Promise<SigningKey> {
  const { privateKey } = await generateKeyPair(SIGNING_ALGORITHM, { extractable: true });
  const jwk = await exportJWK(privateKey);
  const kid = await calculateJwkThumbprint(jwk);
  return { jwk: { ...jwk, kid, use: "sig", alg: SIGNING_ALGORITHM }, createdAtSeconds };
}

function isKeyFile(value: unknown): value is { readonly keys: SigningKey[] } {
  if (typeof value !== "object" || value === null || !("keys" in value)) return false;
  const { keys } = value;
  return (
    Array.isArray(keys) &&
    keys.every(
      (key: Partial<SigningKey> | null) =>
        typeof key?.createdAtSeconds === "number" && typeof key.jwk?.kid === "string",
    )
  );
}

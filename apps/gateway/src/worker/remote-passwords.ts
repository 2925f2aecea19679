import { frozenPrincipal, type PasswordVerifier, type Verification } from "@tidegate/auth";
import type { Clock, Random } from "@tidegate/clock";
import { createHmac } from "node:crypto";
import type { BusHandler } from "./bus.ts";
import type { MainThread } from "./data-threads.ts";
import type { OpenPasswords } from "../identify/open-passwords.ts";

/** What a worker asks the main thread. */
interface PasswordQuestion {
  readonly name: string;
  readonly text: string;
  readonly network: string;
}

/** What the main thread answers. */
interface PasswordAnswer {
  readonly verification: Verification;
  /** Until when a worker may remember it, monotonic milliseconds, which all threads share; 0: not at all. */
  readonly rememberUntilMs: number;
}

/** A hash takes some 100 ms, and at most 34 are in flight or queue; a provider that is asked has 5 s, twice at most. */
const ANSWER_DEADLINE_MS = 15_000;
/** Credentials remembered by one worker; the oldest leave first. */
const MAX_REMEMBERED = 4_096;
const RETRY_AFTER_MS = 1_000;
const NEVER_ABORTED = new AbortController().signal;

/**
 * Passwords are checked by the main thread alone: the bound on hashes at once, the back-off and the users file
 * are the machine's. A worker remembers what was found good, no longer than the main thread does.
 *
 * @param issuers whose people they are, by name under `identity`
 */
export function remotePasswords({
  main,
  issuers,
  clock,
  random,
}: {
  main: MainThread;
  issuers: Readonly<Record<string, string>>;
  clock: Clock;
  random: Random;
}): OpenPasswords {
  const verifiers = new Set<PasswordVerifier>();
  main.whenTold(FORGET_PASSWORDS, () => verifiers.forEach((verifier) => verifier.forget()));
  return (name) => {
    const memory = new Map<string, Remembered>();
    /** Rises when all is forgotten: an answer that was asked for before is not remembered. */
    let epoch = 0;
    const secret = random.bytes(32);
    const verifier: PasswordVerifier = {
      issuer: issuers[name] ?? name,
      rememberedUntilMs: () => 0,
      forget() {
        epoch++;
        memory.clear();
      },
      verify({ text, network, mayVerify }, signal) {
        const digest = createHmac("sha256", secret).update(text).digest("base64url");
        const known = memory.get(digest);
        if (known !== undefined && clock.monotonicMs() < known.untilMs) return known.verification;
        if (mayVerify?.() === false) return { outcome: "busy", retryAfterMs: RETRY_AFTER_MS };
        return ask({ name, text, network }, digest, signal);
      },
    };
    const ask = async (
      question: PasswordQuestion,
      digest: string,
      signal: AbortSignal,
    ): Promise<Verification> => {
      const askedIn = epoch;
      let answer: PasswordAnswer;
      try {
        answer = (await main.ask(PASSWORD, question, ANSWER_DEADLINE_MS)) as PasswordAnswer;
      } catch {
        // Nobody looked at the password: never a 401.
        return { outcome: "unavailable", retryAfterMs: RETRY_AFTER_MS };
      }
      signal.throwIfAborted();
      const verification = frozen(answer.verification);
      memory.delete(digest);
      if (answer.rememberUntilMs > 0 && epoch === askedIn) {
        memory.set(digest, { verification, untilMs: answer.rememberUntilMs });
        const [oldest] = memory.keys();
        if (memory.size > MAX_REMEMBERED && oldest !== undefined) memory.delete(oldest);
      }
      return verification;
    };
    verifiers.add(verifier);
    return Promise.resolve(verifier);
  };
}

/** Told to workers when a users file changed. */
export const FORGET_PASSWORDS = "forget-passwords";
/** The kind of question that workers ask. */
export const PASSWORD = "password";

/** What the main thread answers. @param verifiers by name under `identity`; they run on this thread alone */
export function passwordAnswer(verifiers: ReadonlyMap<string, PasswordVerifier>): BusHandler {
  return async (question): Promise<PasswordAnswer> => {
    const { name, text, network } = question as PasswordQuestion;
    const verifier = verifiers.get(name);
    if (verifier === undefined) throw new Error(`nobody checks passwords of ${name}`);
    const verification = await verifier.verify({ text, network }, NEVER_ABORTED);
    const rememberUntilMs =
      verification.outcome === "accepted"
        ? verifier.rememberedUntilMs(verification.fingerprint)
        : 0;
    return { verification, rememberUntilMs };
  };
}

interface Remembered {
  readonly verification: Verification;
  readonly untilMs: number;
}

function frozen(verification: Verification): Verification {
  if (verification.outcome !== "accepted") return verification;
  return { ...verification, principal: frozenPrincipal(verification.principal) };
}

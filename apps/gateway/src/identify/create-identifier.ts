import {
  ANONYMOUS,
  createAccessTokenVerifier,
  createHashingPool,
  createPasswordVerifier,
  MAX_TOKEN_LENGTH,
  openUsersFile,
  parseToken,
  tokenFingerprint,
  type AccessTokenVerifier,
  type Fetch,
  type PasswordVerifier,
  type PresentedToken,
  type Verification,
} from "@tidegate/auth";
import type { Clock, Random } from "@tidegate/clock";
import type { Readiness } from "../admin/readiness.ts";
import type { GatewayConfig, IdentityConfig, RouteConfig } from "../config/schema.ts";
import type { Peer } from "../judge/call.ts";
import { REASON } from "../judge/reason.ts";
import { refuseWith, type Refusal } from "../judge/refusal.ts";
import {
  credentialRefused,
  issuerFailed,
  issuerKeysLoaded,
  usersReloaded,
} from "../record/events.ts";
import type { Log } from "../record/logger.ts";
import type { Identifier, Identity } from "./identifier.ts";
import { credentialText, kindOfCredential } from "./presented-credential.ts";

/** The identifier over everything under `identity`, with what it keeps running. */
export interface ConfiguredIdentifier extends Identifier, Disposable {
  /** One part per issuer, for `/readyz`. */
  readiness(): readonly Readiness[];
}

/** Opens what checks the passwords of one users file. The supervisor does so itself; its workers ask it. */
export type OpenPasswords = (
  name: string,
  issuer: Extract<IdentityConfig, { kind: "users-file" }>,
) => Promise<PasswordVerifier & Partial<Disposable>>;

interface Means {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly fetch?: Fetch;
}

/**
 * Opens users files and begins to load issuers' keys in the background.
 * @throws {Error} when a users file cannot be used, or two are the same issuer
 */
export async function createIdentifier({
  config: { identity },
  openPasswords,
  ...means
}: Means & {
  readonly config: Pick<GatewayConfig, "identity">;
  /** Default: this thread reads the files and makes the hashes. */
  readonly openPasswords?: OpenPasswords;
}): Promise<ConfiguredIdentifier> {
  using opened = new DisposableStack();
  const openOwn = openPasswords ?? passwordsOnThisThread(means);
  const tokens = new Map<string, AccessTokenVerifier>();
  const passwords = new Map<string, PasswordVerifier>();
  for (const [name, issuer] of Object.entries(identity)) {
    switch (issuer.kind) {
      case "oidc":
        tokens.set(name, opened.use(openIssuer(name, issuer, means)));
        break;
      case "users-file": {
        const verifier = await openOwn(name, issuer);
        opened.defer(() => verifier[Symbol.dispose]?.());
        passwords.set(name, verifier);
        break;
      }
    }
  }
  assertDifferent(passwords);
  for (const verifier of tokens.values()) verifier.start();
  return new RouteIdentifier({ tokens, passwords, log: means.log, opened: opened.move() });
}

/**
 * Reads users files and checks passwords here. One pool for all files: the bound on hashes at once is the
 * machine's, so only one thread of a process may do this.
 */
export function passwordsOnThisThread({
  clock,
  random,
  log,
  onChange,
}: Pick<Means, "clock" | "random" | "log"> & {
  /** A users file changed: who remembers answers must forget them. */
  readonly onChange?: () => void;
}): OpenPasswords {
  const pool = createHashingPool();
  return async (name, issuer) => {
    const users = await openUsersFile({
      path: issuer.file,
      clock,
      onReload(problem) {
        usersReloaded(log, { issuer: name, problem });
        onChange?.();
      },
    });
    const verifier = createPasswordVerifier({ users, pool, clock, random });
    return { ...verifier, [Symbol.dispose]: () => users[Symbol.dispose]() };
  };
}

function openIssuer(
  name: string,
  issuer: Extract<IdentityConfig, { kind: "oidc" }>,
  { clock, random, log, fetch }: Means,
): AccessTokenVerifier {
  let keyCount = -1;
  const verifier = createAccessTokenVerifier({
    ...issuer,
    clock,
    random,
    ...(fetch === undefined ? {} : { fetch }),
    onKeyLoad({ error, keyCount: loaded }) {
      if (error instanceof Error) {
        issuerFailed(log, { issuer: name, error, servesOldKeys: verifier.isReady });
      } else if (loaded !== keyCount) {
        keyCount = loaded;
        issuerKeysLoaded(log, { issuer: name, keys: loaded });
      }
    },
  });
  return verifier;
}

/** Two files of one name would make two people one. */
function assertDifferent(passwords: ReadonlyMap<string, PasswordVerifier>): void {
  const seen = new Map<string, string>();
  for (const [name, { issuer }] of passwords) {
    const other = seen.get(issuer);
    if (other !== undefined) {
      throw new Error(
        `Cannot use the users files of ${other} and ${name}: both are called ${issuer}`,
      );
    }
    seen.set(issuer, name);
  }
}

/** Who may vouch on one route. */
interface Vouchers {
  readonly tokens: readonly AccessTokenVerifier[];
  readonly passwords: readonly PasswordVerifier[];
}

class RouteIdentifier implements ConfiguredIdentifier {
  readonly #tokens: ReadonlyMap<string, AccessTokenVerifier>;
  readonly #passwords: ReadonlyMap<string, PasswordVerifier>;
  readonly #log: Log;
  readonly #opened: DisposableStack;
  /** Made at a route's first call; as many as there are routes, and gone with them. */
  readonly #vouchers = new WeakMap<RouteConfig, Vouchers>();
  /**
   * The token that a connection showed last, and its digest: clients send the same one with every request, and hashing
   * it costs more than everything else about it. Only the digest is taken from here; whether the token is still good
   * is asked of its verifier every time. An entry lives and dies with its connection.
   */
  readonly #lastShown = new WeakMap<Peer, { authorization: string; fingerprint: string }>();

  constructor(parts: {
    tokens: ReadonlyMap<string, AccessTokenVerifier>;
    passwords: ReadonlyMap<string, PasswordVerifier>;
    log: Log;
    opened: DisposableStack;
  }) {
    this.#tokens = parts.tokens;
    this.#passwords = parts.passwords;
    this.#log = parts.log;
    this.#opened = parts.opened;
  }

  identify(
    { head, route, peer }: Parameters<Identifier["identify"]>[0],
    refusal: Refusal,
    caller: { readonly signal: AbortSignal },
  ): Identity | undefined | Promise<Identity | undefined> {
    const { config } = route;
    // Where everybody is let in, nobody is asked: a stale credential must not shut out who needs none.
    if (config.auth === "none") return NOBODY;
    switch (kindOfCredential(head)) {
      case "bearer":
        return this.#identifyToken(
          config,
          { authorization: head.authorization ?? "", peer },
          refusal,
          caller,
        );
      case "basic":
        return this.#identifyPassword(config, head.authorization ?? "", peer, refusal, caller);
      case "ambiguous":
        return refuse(refusal, REASON.credential_ambiguous);
      case "other":
        return this.#refuseAs("scheme", refusal);
      // No browser sessions are served yet, so such a cookie proves nothing.
      case "session":
      case "none":
        return refuse(refusal, REASON.credential_missing);
    }
  }

  get isReady(): boolean {
    return this.#tokens.values().every(({ isReady }) => isReady);
  }

  readiness(): readonly Readiness[] {
    const issuers = [...this.#tokens].map(([name, { isReady, isCurrent }]) => ({
      name: `issuer ${name}`,
      isReady,
      detail: isReady
        ? isCurrent
          ? "Its keys are known"
          : "Its keys are known, but it does not answer now"
        : "Its keys are not known",
    }));
    const files = [...this.#passwords.keys()].map((name) => ({
      name: `issuer ${name}`,
      isReady: true,
      detail: "Its users file is loaded",
    }));
    return [...issuers, ...files];
  }

  [Symbol.dispose](): void {
    this.#opened.dispose();
  }

  #identifyToken(
    config: RouteConfig,
    { authorization, peer }: { readonly authorization: string; readonly peer: Peer },
    refusal: Refusal,
    caller: { readonly signal: AbortSignal },
  ): Identity | undefined | Promise<Identity | undefined> {
    const { tokens } = this.#vouchersOf(config);
    const shown = this.#lastShown.get(peer);
    if (shown !== undefined && shown.authorization === authorization) {
      const remembered = recallAny(tokens, shown.fingerprint);
      if (remembered !== undefined) return remembered;
    }
    const text = credentialText(authorization);
    if (tokens.length === 0 || text.length > MAX_TOKEN_LENGTH)
      return this.#refuseAs("shape", refusal);
    const fingerprint = tokenFingerprint(text);
    const remembered = recallAny(tokens, fingerprint);
    if (remembered !== undefined) {
      if (peer.isProxied !== true && authorization.length <= MAX_SHOWN_LENGTH)
        this.#lastShown.set(peer, { authorization, fingerprint });
      return remembered;
    }
    const parts = parseToken(text);
    if (parts === undefined) return this.#refuseAs("shape", refusal);
    // The token says whom to ask; whether that is true its signature shows. Compared exactly (mix-up).
    const named = tokens.filter(({ issuer }) => issuer === parts.payload["iss"]);
    const token: PresentedToken = { text, parts, fingerprint };
    return this.#ask({
      verifiers: named,
      verify: (verifier) => verifier.verify(token, caller.signal),
      refusal,
      caller,
    });
  }

  #identifyPassword(
    config: RouteConfig,
    authorization: string,
    { network }: Peer,
    refusal: Refusal,
    caller: { readonly signal: AbortSignal },
  ): Identity | undefined | Promise<Identity | undefined> {
    const { passwords } = this.#vouchersOf(config);
    const request = { text: credentialText(authorization), network };
    return this.#ask({
      verifiers: passwords,
      verify: (verifier) => verifier.verify(request, caller.signal),
      refusal,
      caller,
    });
  }

  /** Asks one after the other until one accepts; nearly always there is one, and it answers at once. */
  #ask<Verifier>({
    verifiers: [first, ...others],
    verify,
    refusal,
    caller,
  }: {
    readonly verifiers: readonly Verifier[];
    readonly verify: Verify<Verifier>;
    readonly refusal: Refusal;
    readonly caller: { readonly signal: AbortSignal };
  }): Identity | undefined | Promise<Identity | undefined> {
    if (first === undefined) return this.#refuseAs("issuer", refusal);
    const answer = verify(first);
    if (others.length === 0 && !(answer instanceof Promise)) return this.#settle(answer, refusal);
    return firstAccepted(answer, others, verify).then(
      (settled) => this.#settle(settled, refusal),
      (error: unknown) => {
        // The caller left: nobody reads this answer, and nothing failed.
        if (caller.signal.aborted) return refuse(refusal, REASON.identity_unavailable);
        throw error;
      },
    );
  }

  #settle(answer: Verification, refusal: Refusal): Identity | undefined {
    switch (answer.outcome) {
      case "accepted":
        return answer;
      case "invalid":
        return this.#refuseAs(answer.why, refusal);
      case "unavailable":
        return refuse(refusal, REASON.identity_unavailable, answer.retryAfterMs);
      case "busy":
        return refuse(refusal, REASON.identity_busy, answer.retryAfterMs);
      case "backed-off":
        return refuse(refusal, REASON.identity_backoff, answer.retryAfterMs);
    }
  }

  #refuseAs(why: string, refusal: Refusal): undefined {
    credentialRefused(this.#log, { why });
    return refuse(refusal, REASON.credential_invalid);
  }

  #vouchersOf(config: RouteConfig): Vouchers {
    const known = this.#vouchers.get(config);
    if (known !== undefined) return known;
    const names = config.auth === "none" ? [] : config.auth.by;
    const vouchers = {
      tokens: names.flatMap((name) => this.#tokens.get(name) ?? []),
      passwords: names.flatMap((name) => this.#passwords.get(name) ?? []),
    };
    this.#vouchers.set(config, vouchers);
    return vouchers;
  }
}

/** Longer tokens are rare, and are hashed each time rather than kept for each connection. */
const MAX_SHOWN_LENGTH = 4_096;

function recallAny(
  verifiers: readonly AccessTokenVerifier[],
  fingerprint: string,
): Identity | undefined {
  for (const verifier of verifiers) {
    const remembered = verifier.recall(fingerprint);
    if (remembered !== undefined) return remembered;
  }
  return undefined;
}

type Verify<Verifier> = (verifier: Verifier) => Verification | Promise<Verification>;

async function firstAccepted<Verifier>(
  answer: Verification | Promise<Verification>,
  others: readonly Verifier[],
  verify: Verify<Verifier>,
): Promise<Verification> {
  let settled = await answer;
  for (const verifier of others) {
    if (settled.outcome === "accepted") return settled;
    const next = await verify(verifier);
    // What could not be decided weighs more than a refusal: the credential may be good there.
    if (next.outcome !== "invalid" || settled.outcome === "invalid") settled = next;
  }
  return settled;
}

const NOBODY: Identity = Object.freeze({ principal: ANONYMOUS, fingerprint: "" });

function refuse(refusal: Refusal, reason: number, retryAfterMs = 0): undefined {
  refuseWith(refusal, reason, { retryAfterMs });
}

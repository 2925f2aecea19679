import { ANONYMOUS, type Fetch, type PasswordVerifier, type Principal } from "@tidegate/auth";
import type { Clock, Random } from "@tidegate/clock";
import type { Readiness } from "../admin/readiness.ts";
import type { GatewayConfig } from "../config/schema.ts";
import { CALL_KIND } from "../judge/call.ts";
import { REASON } from "../judge/reason.ts";
import { presentedTicket } from "../ticket/presented-ticket.ts";
import type { Refusal } from "../judge/refusal.ts";
import type { Log } from "../record/logger.ts";
import { refuse, refuseCredential } from "./ask-verifiers.ts";
import type {
  Caller,
  CredentialKind,
  CredentialRequest,
  IdentityAnswer,
} from "./credential-kind.ts";
import type { Identifier, Identity } from "./identifier.ts";
import { bearerCredentials } from "./bearer-credentials.ts";
import { dpopCredentials } from "./dpop-credentials.ts";
import { keyCredentials, type KeyCredentials } from "./key-credentials.ts";
import type { KeyUse } from "./key-use.ts";
import { openIssuer, type TokenIssuer } from "./open-issuer.ts";
import { passwordIssuersOf, passwordsOnThisThread, type OpenPasswords } from "./open-passwords.ts";
import { passwordCredentials } from "./password-credentials.ts";
import { kindOfCredential, type CredentialName } from "./presented-credential.ts";
import type { ProofMemory } from "./proof-memory.ts";
import { forgetPasswordsOf } from "./revoked-passwords.ts";
import { createTokenReader } from "./token-reader.ts";

/** The identifier over everything under `identity`, with what it keeps running. */
export interface ConfiguredIdentifier extends Identifier, Disposable {
  /** One part per issuer, for `/readyz`. */
  readiness(): readonly Readiness[];
  /** Forgets which passwords of these issuers' people were good. */
  forgetPasswords(issuers: readonly string[]): void;
  /** As `KeyCredentials.renew`. */
  renewKey(principal: Principal): Principal | undefined;
  /** As `KeyCredentials.whenChanged`. */
  whenKeysChange(listener: () => void): void;
}

export interface IdentifierOptions {
  readonly config: Pick<GatewayConfig, "identity">;
  /** How people reach the gateway, as far as it is configured. */
  readonly publicUrl?: URL | undefined;
  /** Which proofs of possession were seen, on all threads. */
  readonly proofs: ProofMemory;
  /** Who wants to know which API keys are used. */
  readonly keyUse: KeyUse;
  /** Default: this thread reads users files and makes the hashes. */
  readonly openPasswords?: OpenPasswords;
  /** Kinds of credential that somebody else makes, browser sessions for one; disposed with the identifier. */
  readonly furtherKinds?: readonly CredentialKind[];
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
  config,
  publicUrl,
  openPasswords,
  keyUse,
  furtherKinds = [],
  ...means
}: IdentifierOptions): Promise<ConfiguredIdentifier> {
  using opened = new DisposableStack();
  const openOwn = openPasswords ?? passwordsOnThisThread(means);
  const tokens = new Map<string, TokenIssuer>();
  const passwords = new Map<string, PasswordVerifier>();
  for (const [name, issuer] of Object.entries(config.identity)) {
    // Callers show no token of a provider that is for sessions alone: there is nothing to verify, and no need for its keys.
    if (issuer.kind === "oidc" && issuer.tokenFormat !== "session-only")
      tokens.set(name, opened.use(openIssuer(name, issuer, means)));
  }
  for (const [name, issuer] of passwordIssuersOf(config)) {
    const verifier = await openOwn(name, issuer);
    opened.defer(() => verifier[Symbol.dispose]?.());
    passwords.set(name, verifier);
  }
  const keys = await keyCredentials({ config, use: keyUse, ...means });
  const reader = createTokenReader(tokens, means);
  const kinds = [
    bearerCredentials(tokens, { reader, log: means.log }),
    dpopCredentials({ reader, publicUrl, log: means.log }),
    passwordCredentials(passwords, means),
    keys,
    ...furtherKinds,
  ];
  for (const kind of kinds) opened.use(kind);
  for (const { jwt } of tokens.values()) jwt?.start();
  return new RouteIdentifier({ kinds, keys, passwords, log: means.log, opened: opened.move() });
}

/** Finds out which credential a call shows, and gives the call to that kind. */
class RouteIdentifier implements ConfiguredIdentifier {
  readonly #kinds: readonly CredentialKind[];
  readonly #byName: ReadonlyMap<CredentialName, CredentialKind>;
  readonly #keys: KeyCredentials;
  readonly #passwords: ReadonlyMap<string, PasswordVerifier>;
  readonly #log: Log;
  readonly #opened: DisposableStack;

  constructor({
    kinds,
    keys,
    passwords,
    log,
    opened,
  }: {
    kinds: readonly CredentialKind[];
    keys: KeyCredentials;
    passwords: ReadonlyMap<string, PasswordVerifier>;
    log: Log;
    opened: DisposableStack;
  }) {
    this.#kinds = kinds;
    this.#byName = new Map(kinds.map((kind) => [kind.name, kind]));
    this.#keys = keys;
    this.#passwords = passwords;
    this.#log = log;
    this.#opened = opened;
  }

  identify(request: CredentialRequest, refusal: Refusal, caller: Caller): IdentityAnswer {
    // Where everybody is let in, nobody is asked: a stale credential must not shut out who needs none.
    if (request.route.config.auth === "none") return NOBODY;
    const name = this.#kindOf(request);
    switch (name) {
      case "none":
        return refuse(refusal, REASON.credential_missing);
      case "ambiguous":
        return refuse(refusal, REASON.credential_ambiguous);
      case "other":
        return refuseCredential("scheme", { refusal, log: this.#log });
      case "bearer":
      case "dpop":
      case "basic":
      case "key":
      case "session":
      case "ticket":
        break;
    }
    const kind = this.#byName.get(name);
    // A cookie of sessions that are not kept here proves nothing.
    if (kind === undefined) return refuse(refusal, REASON.credential_missing);
    const answer = kind.identify(request, refusal, caller);
    if (name !== "ticket" || !(answer instanceof Promise)) return answer;
    return answer.then((found) => {
      if (found?.principal.kind !== "key") return found;
      // A ticket is good for no longer than the key that fetched it.
      const principal = this.#keys.renew(found.principal);
      if (principal !== undefined) return { ...found, principal };
      return refuseCredential("key-unknown", { refusal, log: this.#log });
    });
  }

  renewKey(principal: Principal): Principal | undefined {
    return this.#keys.renew(principal);
  }

  whenKeysChange(listener: () => void): void {
    this.#keys.whenChanged(listener);
  }

  /**
   * A ticket goes before the cookie that browsers send with it, asked or not: a page fetched it to be shown, for this
   * origin. Beside a credential that somebody put there on purpose it is one too many.
   */
  #kindOf({
    head,
    route,
    kind = CALL_KIND.request,
  }: CredentialRequest): ReturnType<typeof kindOfCredential> {
    const shown = kindOfCredential(head);
    const isInField = this.#keys.inField(head.fields, route.config) !== undefined;
    const name = !isInField ? shown : shown === "none" ? "key" : "ambiguous";
    if (kind !== CALL_KIND.handshake || presentedTicket(head) === undefined) return name;
    return name === "none" || name === "session" ? "ticket" : "ambiguous";
  }

  get isReady(): boolean {
    return this.readiness().every(({ isReady }) => isReady);
  }

  readiness(): readonly Readiness[] {
    return this.#kinds.flatMap((kind) => kind.readiness());
  }

  forgetPasswords(issuers: readonly string[]): void {
    forgetPasswordsOf(this.#passwords.values(), issuers);
  }

  [Symbol.dispose](): void {
    this.#opened.dispose();
  }
}

const NOBODY: Identity = Object.freeze({ principal: ANONYMOUS, fingerprint: "" });

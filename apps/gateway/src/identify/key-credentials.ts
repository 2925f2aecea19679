import { openKeysFile, createKeyVerifier, type KeyVerifier, type Principal } from "@tidegate/auth";
import type { Clock } from "@tidegate/clock";
import type { GatewayConfig } from "../config/schema.ts";
import { REASON } from "../judge/reason.ts";
import type { Log } from "../record/logger.ts";
import { askVerifiers, refuse, refuseCredential } from "./ask-verifiers.ts";
import type { CredentialKind } from "./credential-kind.ts";
import { createKeyInField, type KeyInField } from "./key-fields.ts";
import type { KeyUse } from "./key-use.ts";
import { credentialText } from "./presented-credential.ts";
import { verifiersOfRoute } from "./verifiers-of-route.ts";

/** One file of keys, as routes use it. */
interface KeyIssuer {
  readonly name: string;
  readonly verifier: KeyVerifier;
}

/** API keys, with which fields may carry them. */
export interface KeyCredentials extends CredentialKind {
  readonly inField: KeyInField;
  /** As `KeyVerifier.renew`, for a key of whichever file. */
  renew(principal: Principal): Principal | undefined;
  /** Runs `listener` whenever a file of keys has changed; one at a time. */
  whenChanged(listener: () => void): void;
}

/**
 * API keys: `Authorization: Bearer tgk_…`, or a configured field. Every thread reads the files itself: a key costs a
 * hash, and no guess of 190 bits is worth counting.
 * @throws {Error} when a file cannot be used, or two are the same issuer
 */
export async function keyCredentials({
  config: { identity },
  clock,
  use,
  log,
}: {
  readonly config: Pick<GatewayConfig, "identity">;
  readonly clock: Clock;
  readonly use: KeyUse;
  readonly log: Log;
}): Promise<KeyCredentials> {
  using opened = new DisposableStack();
  const issuers = new Map<string, KeyIssuer>();
  let changed = (): void => {};
  for (const [name, issuer] of Object.entries(identity)) {
    if (issuer.kind !== "api-keys") continue;
    // What becomes of a changed file the main thread tells the log; it reads the same one.
    const onReload = (problem: Error | undefined): void => {
      if (problem === undefined) changed();
    };
    const keys = opened.use(await openKeysFile({ path: issuer.file, clock, onReload }));
    const verifier = createKeyVerifier({ keys, clock });
    issuers.set(name, { name, verifier });
  }
  assertDifferent(issuers);
  const issuersOf = verifiersOfRoute(issuers);
  const owned = opened.move();

  const inField = createKeyInField({ identity });
  const verifierOf = new Map(
    [...issuers.values()].map(({ verifier }) => [verifier.issuer, verifier]),
  );

  return {
    name: "key",
    inField,
    renew: (principal) => verifierOf.get(principal.issuer)?.renew(principal),
    whenChanged(listener) {
      changed = listener;
    },
    identify({ head, route, mayVerify }, refusal, caller) {
      const { config } = route;
      const field = inField(head.fields, config);
      const text = field ?? credentialText(head.authorization ?? "");
      const mine = issuersOf(config);
      if (mine.length === 0) return refuseCredential("issuer", { refusal, log });
      // A key costs no more than a remembered token, so a boxed address may try; within its budget all the same.
      if (mayVerify?.() === false) return refuse(refusal, REASON.identity_busy);
      return askVerifiers({
        verifiers: mine,
        check({ name, verifier }) {
          const answer = verifier.verify(text);
          if (answer.outcome === "accepted") use.used(name, answer.principal.subject);
          return answer;
        },
        log,
        refusal,
        caller,
      });
    },
    readiness: () =>
      [...issuers.keys()].map((name) => ({
        name: `issuer ${name}`,
        isReady: true,
        detail: "Its keys file is loaded",
      })),
    [Symbol.dispose]: () => owned.dispose(),
  };
}

/** Two files of one name would make two keys one. */
function assertDifferent(issuers: ReadonlyMap<string, KeyIssuer>): void {
  const seen = new Map<string, string>();
  for (const { name, verifier } of issuers.values()) {
    const other = seen.get(verifier.issuer);
    if (other !== undefined) {
      throw new Error(
        `Cannot use the keys files of ${other} and ${name}: both are called ${verifier.issuer}`,
      );
    }
    seen.set(verifier.issuer, name);
  }
}

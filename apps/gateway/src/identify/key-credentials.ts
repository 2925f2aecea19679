import { openKeysFile, createKeyVerifier, type KeyVerifier } from "@tidegate/auth";
import type { Clock } from "@tidegate/clock";
import type { GatewayConfig, RouteConfig } from "../config/schema.ts";
import { REASON } from "../judge/reason.ts";
import type { Log } from "../record/logger.ts";
import { askVerifiers, refuse, refuseCredential } from "./ask-verifiers.ts";
import type { CredentialKind } from "./credential-kind.ts";
import type { KeyUse } from "./key-use.ts";
import { credentialText } from "./presented-credential.ts";
import { verifiersOfRoute } from "./verifiers-of-route.ts";

/** One file of keys, as routes use it. */
interface KeyIssuer {
  readonly name: string;
  readonly verifier: KeyVerifier;
  /** A field that may carry the key too, in lower case. */
  readonly header: string | undefined;
}

/** API keys, with which fields may carry them. */
export interface KeyCredentials extends CredentialKind {
  /** The key in a field of its own, on a route that knows such a field; empty when there are several. */
  inField(fields: readonly string[], route: RouteConfig): string | undefined;
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
  for (const [name, issuer] of Object.entries(identity)) {
    if (issuer.kind !== "api-keys") continue;
    // What becomes of a changed file the main thread tells the log; it reads the same one.
    const keys = opened.use(await openKeysFile({ path: issuer.file, clock }));
    const verifier = createKeyVerifier({ keys, clock });
    issuers.set(name, { name, verifier, header: issuer.header });
  }
  assertDifferent(issuers);
  const issuersOf = verifiersOfRoute(issuers);
  const hasFields = [...issuers.values()].some(({ header }) => header !== undefined);
  const owned = opened.move();

  const inField = (fields: readonly string[], config: RouteConfig): string | undefined => {
    if (!hasFields) return undefined;
    const mine = issuersOf(config);
    let found: string | undefined;
    for (let at = 0; at + 1 < fields.length; at += 2) {
      const name = fields[at]?.toLowerCase();
      if (!mine.some(({ header }) => header !== undefined && header === name)) continue;
      found = found === undefined ? fields[at + 1] : "";
    }
    return found;
  };

  return {
    name: "key",
    inField,
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

/** Names of the fields that may carry keys, in lower case. */
export function keyFieldsOf({ identity }: Pick<GatewayConfig, "identity">): ReadonlySet<string> {
  const issuers = Object.values(identity);
  return new Set(
    issuers.flatMap((issuer) =>
      issuer.kind === "api-keys" && issuer.header !== undefined ? [issuer.header] : [],
    ),
  );
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

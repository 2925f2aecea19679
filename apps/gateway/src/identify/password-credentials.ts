import type { PasswordVerifier } from "@tidegate/auth";
import type { Readiness } from "../admin/readiness.ts";
import type { Log } from "../record/logger.ts";
import { askVerifiers } from "./ask-verifiers.ts";
import type { CredentialKind } from "./credential-kind.ts";
import { credentialText } from "./presented-credential.ts";
import { verifiersOfRoute } from "./verifiers-of-route.ts";

/**
 * `Authorization: Basic`, a name and a password with every call.
 * @param passwords by their name under `identity`
 * @throws {Error} when two users files are the same issuer: that would make two people one
 */
export function passwordCredentials(
  passwords: ReadonlyMap<string, PasswordVerifier>,
  { log }: { readonly log: Log },
): CredentialKind {
  const files = [...passwords].filter(([, { issuer }]) => issuer.startsWith(USERS_FILE));
  assertDifferent(files);
  const verifiersOf = verifiersOfRoute(passwords);
  return {
    name: "basic",
    identify({ head, route, peer: { network }, mayVerify }, refusal, caller) {
      const request = { text: credentialText(head.authorization ?? ""), network, mayVerify };
      return askVerifiers({
        verifiers: verifiersOf(route.config),
        check: (verifier) => verifier.verify(request, caller.signal),
        log,
        refusal,
        caller,
      });
    },
    // A provider that is asked about passwords is ready or not as far as its tokens are concerned.
    readiness: () =>
      files.map(([name]): Readiness => ({
        name: `issuer ${name}`,
        isReady: true,
        detail: "Its users file is loaded",
      })),
    // Whoever opened the verifiers closes them.
    [Symbol.dispose]() {},
  };
}

/** What the issuers of users files begin with. */
const USERS_FILE = "urn:tidegate:users:";

function assertDifferent(files: readonly (readonly [string, PasswordVerifier])[]): void {
  const seen = new Map<string, string>();
  for (const [name, { issuer }] of files) {
    const other = seen.get(issuer);
    if (other !== undefined) {
      throw new Error(
        `Cannot use the users files of ${other} and ${name}: both are called ${issuer}`,
      );
    }
    seen.set(issuer, name);
  }
}

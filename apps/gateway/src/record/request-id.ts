import type { Identifiers } from "./identifiers.ts";

// Long enough to be unique, short enough for every line; nothing that a log, a shell or a page would take for code.
const SAFE_ID = /^[A-Za-z0-9][A-Za-z0-9._-]{7,63}$/;

/**
 * The id a request is known by in log lines, problem documents, the answer's and the upstream's `X-Request-Id`.
 *
 * What a client offers is taken only from a proxy that the configuration trusts, and only as a short safe token.
 * From anybody else it would let a stranger choose the id under which his request is found, or make it collide with
 * another's.
 *
 * @param offered the value of `X-Request-Id`, undefined when absent
 * @param isTrustedPeer whether the direct peer is one of `listen.trustedProxies`
 */
export function chooseRequestId(
  {
    offered,
    isTrustedPeer,
  }: { readonly offered: string | undefined; readonly isTrustedPeer: boolean },
  ids: Identifiers,
): string {
  return isTrustedPeer && offered !== undefined && SAFE_ID.test(offered) ? offered : ids.long();
}

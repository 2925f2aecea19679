import { toCanonicalPath } from "../route/canonical-path.ts";
import type { RequestHead } from "../accept/request-head.ts";

/**
 * Whether a proof's `htu` names what this request asks for (RFC 9449 §4.3): our address as the client writes it, and the
 * path, both in their one normal form; query and fragment do not count. A proof for another server, or another place
 * here, is somebody's who got hold of it there. On handshakes it has the scheme of HTTP too: `https`, not `wss`.
 * @param publicUrl how people reach the gateway
 */
export function isProofTarget(
  htu: string,
  {
    head: { authority, isEncrypted, path },
    publicUrl,
  }: {
    readonly head: Pick<RequestHead, "authority" | "isEncrypted" | "path">;
    readonly publicUrl: URL | undefined;
  },
): boolean {
  const split = /^(https?:\/\/[^/?#@\\]+)([^?#]*)/i.exec(htu);
  const named = split?.[1] === undefined ? null : URL.parse(split[1]);
  if (split === null || named === null) return false;
  if (toCanonicalPath(split[2] === "" ? "/" : (split[2] ?? ""))?.path !== path) return false;
  // Behind a proxy that ends TLS nobody but the configuration knows that the client said https.
  const scheme = isEncrypted ? "https:" : (publicUrl?.protocol ?? "http:");
  return (
    named.origin === publicUrl?.origin ||
    named.origin === URL.parse(`${scheme}//${authority}`)?.origin
  );
}

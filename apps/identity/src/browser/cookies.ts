import type { FastifyReply, FastifyRequest } from "fastify";

/**
 * The value of a cookie of ours. A name that comes twice counts as missing: another port of the host may have planted one of
 * them, and there is no telling which.
 */
export function readCookie(request: FastifyRequest, name: string): string | undefined {
  const found = (request.headers.cookie ?? "")
    .split(";")
    .map((pair) => pair.trim())
    .filter((pair) => pair.startsWith(`${name}=`))
    .map((pair) => pair.slice(name.length + 1));
  return found.length === 1 && found[0] !== "" ? found[0] : undefined;
}

/**
 * Sets a cookie that only this origin's host reads and no script. Its name must begin with `__Host-` (RFC 6265bis §4.1.3.2): then no
 * sub-domain can set it for us.
 * @param options.maxAgeSeconds 0 removes it; left out, it goes with the browser's session
 */
export function setCookie(
  reply: FastifyReply,
  cookie: { readonly name: string; readonly value: string; readonly maxAgeSeconds?: number },
): void {
  const { name, value, maxAgeSeconds } = cookie;
  const age = maxAgeSeconds === undefined ? "" : `; Max-Age=${maxAgeSeconds}`;
  reply.header("set-cookie", `${name}=${value}; Path=/; Secure; HttpOnly; SameSite=Lax${age}`);
}

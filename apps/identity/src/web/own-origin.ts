// Two questions about where a request claims to come from and go to, asked before anything else reads it.

/** The names and origins under which this server is itself. */
export interface OwnOrigin {
  /** The issuer: scheme, host and port. */
  readonly origin: string;
  /** Whether a Host field names this server: its public name, or a loopback name with the port it listens on. */
  isOwnHost(host: string | undefined): boolean;
}

export function createOwnOrigin(options: {
  readonly publicUrl: string;
  readonly port: number;
}): OwnOrigin {
  const { origin, host } = new URL(options.publicUrl);
  // DNS rebinding: a page of evil.example whose name now points at 127.0.0.1 says Host: evil.example.
  const hosts = new Set([
    host,
    ...["localhost", "127.0.0.1", "[::1]"].map((name) => `${name}:${options.port}`),
  ]);
  return { origin, isOwnHost: (given) => given !== undefined && hosts.has(given.toLowerCase()) };
}

/**
 * Whether a form may be taken: cookies are ambient, and SameSite does not keep apart two ports of one host, so the
 * browser's own word decides (Fetch §3.2: every form post carries Origin). Without the field it was no browser's form.
 */
export function isOwnForm(origin: string | undefined, own: OwnOrigin): boolean {
  return origin === own.origin;
}

/** What the library fetches with: the platform's options, and the dispatcher that keeps it out of private networks. */
type GuardedOptions = RequestInit & { readonly dispatcher?: unknown };

/**
 * The library refuses to call special-use addresses (server-side request forgery: a URL in a client's metadata must not make
 * us knock on the machines behind us). A back-channel logout URL that the operator wrote into the client file is no such
 * thing, and in an embedded provider it is loopback: exactly those URLs are called without the guard.
 */
export function createGuardedFetch(options: {
  readonly logoutUris: ReadonlySet<string>;
  readonly fetch: typeof fetch;
}): typeof fetch {
  return (target, init) => {
    const href = target instanceof Request ? target.url : String(target);
    if (!options.logoutUris.has(href)) return options.fetch(target, init);
    const { dispatcher: _guard, ...plain } = (init ?? {}) as GuardedOptions;
    return options.fetch(target, plain);
  };
}

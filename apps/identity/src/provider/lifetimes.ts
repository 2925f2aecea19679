// How long everything lives, in seconds. One place, because they lean on each other.

export const LIFETIMES = {
  /** RFC 9700 §2.2.2 wants them short; revocation of a JWT is the gateway's, for this long. */
  accessToken: 300,
  idToken: 600,
  /** ASVS 10.4.3: at most a minute. */
  authorizationCode: 60,
  /** Time to type a password, find a phone, or register. */
  interaction: 900,
  pushedRequest: 60,
  /** A session ends when nobody used it for this long; a refresh by one of its clients is a use. */
  sessionIdle: 86_400,
  /** … and this long after the sign-in, whatever happens. */
  sessionAbsolute: 14 * 86_400,
  /** With `offline_access` a client goes on without the session: unused for this long, */
  offlineIdle: 30 * 86_400,
  /** … and from its beginning. */
  offlineAbsolute: 90 * 86_400,
} as const;

/** Until when something that is extended by use lives. At least a second: the library takes no less. */
export function slidingLifetime(options: {
  readonly nowSeconds: number;
  readonly startedAtSeconds: number;
  readonly idleSeconds: number;
  readonly absoluteSeconds: number;
}): number {
  const { nowSeconds, startedAtSeconds, idleSeconds, absoluteSeconds } = options;
  return Math.max(1, Math.min(idleSeconds, startedAtSeconds + absoluteSeconds - nowSeconds));
}

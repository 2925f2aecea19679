import {
  createHashingPool,
  createPasswordVerifier,
  createProviderPasswordVerifier,
  openUsersFile,
  type Fetch,
  type PasswordVerifier,
} from "@tidegate/auth";
import type { Clock, Random } from "@tidegate/clock";
import type { GatewayConfig, ProviderConfig, UsersFileConfig } from "../config/schema.ts";
import { passwordCheckFailed, passwordCheckRecovered, usersReloaded } from "../record/events.ts";
import type { Log } from "../record/logger.ts";

/** Who can check passwords: a users file, or a provider that offers it. */
export type PasswordIssuer = UsersFileConfig | ProviderConfig;

/** Opens what checks the passwords of one issuer. The main thread does so itself; workers ask it. */
export type OpenPasswords = (
  name: string,
  issuer: PasswordIssuer,
) => Promise<PasswordVerifier & Partial<Disposable>>;

/** Those under `identity` who check passwords, by name. */
export function passwordIssuersOf({
  identity,
}: Pick<GatewayConfig, "identity">): [name: string, issuer: PasswordIssuer][] {
  return Object.entries(identity).flatMap(([name, issuer]) =>
    issuer.kind === "users-file" || (issuer.kind === "oidc" && issuer.basic !== undefined)
      ? [[name, issuer] as [string, PasswordIssuer]]
      : [],
  );
}

/**
 * Reads users files and checks passwords here, or asks providers. The bounds on hashes and on guesses are the machine's,
 * so only one thread of a process may do this.
 */
export function passwordsOnThisThread({
  clock,
  random,
  log,
  fetch,
  onChange,
}: {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly fetch?: Fetch | undefined;
  /** A users file changed: who remembers answers must forget them. */
  readonly onChange?: () => void;
}): OpenPasswords {
  // One for all files. Providers have one each: one that hangs must not hold up the others.
  const pool = createHashingPool();
  return async (name, issuer) => {
    if (issuer.kind === "oidc") return openProvider(name, issuer);
    const users = await openUsersFile({
      path: issuer.file,
      clock,
      onReload(problem) {
        usersReloaded(log, { issuer: name, problem });
        onChange?.();
      },
    });
    const verifier = createPasswordVerifier({ users, pool, clock, random });
    return { ...verifier, [Symbol.dispose]: () => users[Symbol.dispose]() };
  };

  function openProvider(name: string, provider: ProviderConfig): PasswordVerifier {
    const { basic, client } = provider;
    // The check of the configuration has seen to both.
    if (basic === undefined || client?.secret === undefined)
      throw new Error(`Cannot ask ${name} about passwords: its client has no secret`);
    return createProviderPasswordVerifier({
      ...provider,
      ...basic,
      rememberMs: basic.rememberSeconds * 1_000,
      client: { ...client, secret: client.secret },
      pool: createHashingPool(),
      clock,
      random,
      ...(fetch === undefined ? {} : { fetch }),
      onOutage(error) {
        if (error === undefined) passwordCheckRecovered(log, { issuer: name });
        else passwordCheckFailed(log, { issuer: name, error });
      },
    });
  }
}

import { readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { findConfigFile } from "../config/find-config-file.ts";
import { loadConfig } from "../config/load-config.ts";
import type { GatewayConfig, ProviderConfig } from "../config/schema.ts";
import type { FormAnswers } from "./form-browser.ts";
import type { Terminal } from "./terminal.ts";

/** Where somebody signs in, and as what. */
export interface TokenPlace {
  readonly issuer: string;
  readonly clientId: string;
  readonly scopes: readonly string[];
  readonly resource: string | undefined;
  readonly parameters: Readonly<Record<string, string>>;
  readonly clockToleranceSeconds: number;
  /** Of the demo's people alone: what their sign-in page is answered with. */
  readonly answers: FormAnswers | undefined;
}

/** What the command line says about it. */
export interface TokenWish {
  readonly user: string | undefined;
  readonly config: string | undefined;
  readonly provider: string | undefined;
  readonly client: string | undefined;
  readonly scope: string | undefined;
  readonly resource: string | undefined;
}

/**
 * The demo of `npm start` if its data folder is here and no configuration was named, else a provider of the configuration.
 * @throws {ConfigError} when the configuration cannot be used
 * @throws {Error} when nothing says where to sign in
 */
export async function findTokenPlace(terminal: Terminal, wish: TokenWish): Promise<TokenPlace> {
  const isPlain = wish.config === undefined && wish.provider === undefined;
  const demo = isPlain ? await findDemo(terminal, wish) : undefined;
  const place = demo ?? (await findConfigured(terminal, wish));
  const scopes = wish.scope?.split(" ").filter((one) => one !== "");
  return {
    ...place,
    clientId: wish.client ?? place.clientId,
    // Without it there is no ID token, and nobody would know who signed in.
    scopes: scopes === undefined ? place.scopes : [...new Set(["openid", ...scopes])],
    resource: wish.resource ?? place.resource,
  };
}

async function findDemo(terminal: Terminal, { user }: TokenWish): Promise<TokenPlace | undefined> {
  const { workingFolder, environment } = terminal;
  const folder = resolve(workingFolder, environment["TIDEGATE_DATA"] || ".tidegate");
  const users = await readJson(join(folder, "demo-users.json"));
  const ports = await readJson(join(folder, "ports.json"));
  if (users === undefined || ports === undefined) return undefined;
  const { gateway, identity } = ports;
  if (typeof gateway !== "number" || typeof identity !== "number") return undefined;
  const password = user !== undefined && Object.hasOwn(users, user) ? users[user] : undefined;
  if (user === undefined || typeof password !== "string") {
    const known = Object.keys(users).join(" and ");
    throw new Error(`Cannot sign in as ${user ?? "nobody"}: the demo in ${folder} knows ${known}`);
  }
  return {
    issuer: `http://localhost:${identity}`,
    clientId: "tidegate-cli",
    scopes: ["openid", "tasks:read", "tasks:write"],
    resource: `http://localhost:${gateway}`,
    parameters: {},
    clockToleranceSeconds: 5,
    answers: { login: user, password },
  };
}

async function findConfigured(terminal: Terminal, wish: TokenWish): Promise<TokenPlace> {
  const found = await findConfigFile(wish.config, terminal.workingFolder);
  const { config } = await loadConfig(found, { environment: terminal.environment });
  const [name, provider] = choose(config, wish.provider);
  const clientId = wish.client ?? provider.commandLineClient;
  if (clientId === undefined)
    throw new Error(
      `Cannot sign in at ${name}: name its public client with --client, or as identity.${name}.commandLineClient`,
    );
  const wanted = config.routes.flatMap(({ auth }) =>
    auth !== "none" && auth.by.includes(name) ? auth.scopes : [],
  );
  const { resource, ...parameters } = provider.extraAuthParams;
  return {
    issuer: provider.issuer,
    clientId,
    scopes: [...new Set(["openid", ...wanted])],
    resource,
    parameters: wish.user === undefined ? parameters : { ...parameters, login_hint: wish.user },
    clockToleranceSeconds: provider.clockToleranceSeconds,
    answers: undefined,
  };
}

function choose(
  { identity }: GatewayConfig,
  wanted: string | undefined,
): readonly [string, ProviderConfig] {
  const providers = Object.entries(identity).flatMap(([name, one]) =>
    one.kind === "oidc" ? [[name, one] as const] : [],
  );
  const names = providers.map(([name]) => name).join(", ");
  const [first, ...others] = providers.filter(([name]) => wanted === undefined || name === wanted);
  if (first === undefined)
    throw new Error(
      names === ""
        ? "Cannot sign in: the configuration has no OpenID provider"
        : `Cannot sign in at ${wanted}: the configuration knows ${names}`,
    );
  if (others.length > 0)
    throw new Error(`Cannot sign in: choose one with --provider; there are ${names}`);
  return first;
}

/** @returns undefined when there is no such file, or it holds something else */
async function readJson(path: string): Promise<Readonly<Record<string, unknown>> | undefined> {
  try {
    const value: unknown = JSON.parse(await readFile(path, "utf8"));
    return typeof value === "object" && value !== null ? { ...value } : undefined;
  } catch {
    return undefined; // The demo never ran here.
  }
}

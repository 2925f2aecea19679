import type { KeyFunction } from "../judge/caller.ts";
import type { KeyPart } from "./limit-schema.ts";
import type { OidcIssuer } from "./providers.ts";
import type { GatewayConfigInput } from "./schema.ts";

/**
 * Types a configuration while it is written. Nothing is checked here: the gateway checks the whole file when it
 * loads it, whatever language it is in.
 */
export function defineGateway(config: GatewayConfigInput): GatewayConfigInput {
  return config;
}

type Issuer = NonNullable<GatewayConfigInput["identity"]>[string];
type UsersFile = Extract<Issuer, { kind: "users-file" }>;
type ApiKeys = Extract<Issuer, { kind: "api-keys" }>;

/** An OpenID provider whose access tokens are accepted. */
export function oidc(options: Omit<OidcIssuer, "kind">): OidcIssuer {
  return { kind: "oidc", ...options };
}

/** People with passwords in a file, for HTTP Basic. */
export function usersFile(options: Omit<UsersFile, "kind">): UsersFile {
  return { kind: "users-file", ...options };
}

/** API keys of programs, kept as hashes in a file. */
export function apiKeys(options: Omit<ApiKeys, "kind">): ApiKeys {
  return { kind: "api-keys", ...options };
}

/** How fast a bucket refills: `count` in `seconds`. */
export interface Rate {
  readonly count: number;
  readonly seconds: number;
}

export const perSecond = (count: number): Rate => ({ count, seconds: 1 });
export const perMinute = (count: number): Rate => ({ count, seconds: 60 });
export const perHour = (count: number): Rate => ({ count, seconds: 3_600 });

type Cost = "request" | "message" | "byte";

/**
 * What all kinds of limit have, on requests and on messages alike. `Unit` is only as wide as what was written, so that
 * `cost: "message"` fits a socket's limits alone, and a limit without `cost` fits both places.
 */
interface LimitOptions<Unit extends Cost> {
  /** Whose usage is counted; a list counts each combination by itself, a function what it says of the caller. */
  readonly per?: KeyPart | KeyPart[] | KeyFunction;
  readonly cost?: Unit;
  readonly name?: string;
  /** Decide and count, never refuse. */
  readonly shadow?: boolean;
  /** Whether going on over it leads to the penalty box; default true. */
  readonly strikes?: boolean;
}

/** Limits on requests may be kept together with other gateways, in the `limitStore`. */
interface StoreOptions {
  readonly store?: "local" | "shared";
  readonly whenStoreLost?: "deny" | "share" | "local" | "open";
}

interface BucketOptions<Unit extends Cost> extends LimitOptions<Unit>, StoreOptions {
  readonly rate: Rate;
  readonly burst: number;
}

interface WindowOptions<Unit extends Cost> extends LimitOptions<Unit>, StoreOptions {
  readonly limit: number;
  readonly seconds: number;
}

/** Token bucket: the cost admitted in any (s, t] is at most `burst + rate × (t − s)`. */
export function bucket<Unit extends Cost = "byte">(
  options: BucketOptions<Unit>,
): BucketOptions<Unit> & { readonly kind: "bucket" } {
  return { kind: "bucket", ...options };
}

/** Strict sliding window: the cost admitted in any (t − `seconds`, t] is at most `limit`. */
export function window<Unit extends Cost = "byte">(
  options: WindowOptions<Unit>,
): WindowOptions<Unit> & { readonly kind: "window" } {
  return { kind: "window", ...options };
}

interface QuotaOptions extends LimitOptions<"request" | "byte">, StoreOptions {
  readonly limit: number;
  readonly period: "minute" | "hour" | "day" | "week" | "month";
  /** IANA name; default `UTC`. */
  readonly timeZone?: string;
}

/** Calendar quota: the cost admitted in one calendar period is at most `limit`. For requests and handshakes. */
export function quota(options: QuotaOptions): QuotaOptions & { readonly kind: "quota" } {
  return { kind: "quota", ...options };
}

type ConcurrencyOptions = Omit<LimitOptions<never>, "cost"> &
  StoreOptions & { readonly limit: number };

/** In flight: at most `limit` requests and sockets of one caller are open at once. */
export function concurrency(
  options: ConcurrencyOptions,
): ConcurrencyOptions & { readonly kind: "concurrency" } {
  return { kind: "concurrency", ...options };
}

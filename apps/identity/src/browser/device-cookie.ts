import type { FastifyReply, FastifyRequest } from "fastify";
import { MAX_TOKENS_PER_BROWSER } from "../people/devices.ts";
import { isSecretToken } from "../people/secret-token.ts";
import { readCookie, setCookie } from "./cookies.ts";

/** Tokens of the people who have signed in with this browser; see `people/devices.ts`. Worth nothing without a password. */
export function readDeviceTokens(request: FastifyRequest): string[] {
  const tokens = (readCookie(request, COOKIE) ?? "").split(".").filter(isSecretToken);
  return tokens.slice(0, MAX_TOKENS_PER_BROWSER);
}

/** Keeps one more token in the browser, or makes it the newest; the oldest goes. */
export function keepDeviceToken(
  exchange: { readonly request: FastifyRequest; readonly reply: FastifyReply },
  token: string,
): void {
  const others = readDeviceTokens(exchange.request).filter((one) => one !== token);
  const value = [token, ...others].slice(0, MAX_TOKENS_PER_BROWSER).join(".");
  setCookie(exchange.reply, { name: COOKIE, value, maxAgeSeconds: MAX_AGE_SECONDS });
}

const COOKIE = "__Host-identity-devices";
/** Browsers keep no cookie longer than 400 days (RFC 6265bis §5.5). */
const MAX_AGE_SECONDS = 400 * 86_400;

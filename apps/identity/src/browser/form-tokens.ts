import type { Random } from "@tidegate/clock";
import type { FastifyReply, FastifyRequest } from "fastify";
import { createSecretToken, isSecretToken } from "../people/secret-token.ts";
import type { BrowserKey } from "./browser-key.ts";
import { readCookie, setCookie } from "./cookies.ts";

/**
 * Binds every form to the browser that it was shown in, against forms sent by other sites (ASVS 3.5.1) and sign-in with
 * somebody else's account (login CSRF). It stands beside the check of `Origin` in `web/identity-app.ts`, which also holds against
 * pages on other ports of this host, who share our cookies; either alone would do in most browsers.
 */
export interface FormTokens {
  /** The token for a form that is about to be shown; gives the browser its cookie if it has none. */
  issue(exchange: { readonly request: FastifyRequest; readonly reply: FastifyReply }): string;
  isGood(request: FastifyRequest, token: string): boolean;
}

export function createFormTokens(options: {
  readonly key: BrowserKey;
  readonly random: Random;
}): FormTokens {
  const { key, random } = options;
  const cookieOf = (request: FastifyRequest): string | undefined => {
    const value = readCookie(request, COOKIE);
    return value !== undefined && isSecretToken(value) ? value : undefined;
  };
  return {
    issue({ request, reply }) {
      let value = cookieOf(request);
      if (value === undefined) {
        value = createSecretToken(random);
        setCookie(reply, { name: COOKIE, value });
      }
      return key.sign("form", value);
    },
    isGood(request, token) {
      const value = cookieOf(request);
      return value !== undefined && key.verify("form", value, token);
    },
  };
}

const COOKIE = "__Host-identity-browser";

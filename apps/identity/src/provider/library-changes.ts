// The few places where the library is changed beyond its configuration. Each has a test that fails when an upgrade undoes it.

import assert from "node:assert/strict";
import type Provider from "oidc-provider";
import { deriveSuccessors } from "./refresh-rotation.ts";

export function changeLibrary(
  provider: Provider,
  options: { readonly successorSecret: Buffer },
): void {
  refuseDevelopmentPages(provider);
  deriveSuccessors(provider, options.successorSecret);
  nameEverySession(provider);
  keepCookiesSecure(provider);
}

/** The library's development pages take any password of anybody. @throws when they are on */
export function refuseDevelopmentPages(provider: Provider): void {
  let isOn = true;
  try {
    provider.pathFor("interaction", { uid: "any" });
  } catch {
    isOn = false;
  }
  assert(!isOn, "Cannot start: the library's development pages are on, which sign in anybody");
}

/** Every client gets `sid`, not only those with a back-channel logout URL: gateways revoke by it. */
function nameEverySession(provider: Provider): void {
  const prototype = provider.Client.prototype as unknown as { includeSid: () => boolean };
  assert(typeof prototype.includeSid === "function", "The library names sessions another way now");
  prototype.includeSid = () => true;
}

/**
 * Cookies are `Secure` on loopback too, where browsers take `http://localhost` for a secure context: only so may their names
 * begin with `__Host-` and be set by no other host. The library would refuse because the connection is not encrypted; it is
 * where that matters, by the proxy that an `https` issuer has in front.
 */
function keepCookiesSecure(provider: Provider): void {
  const createContext = provider.createContext.bind(provider);
  provider.createContext = (request, response) => {
    const ctx = createContext(request, response);
    ctx.cookies.secure = true;
    return ctx;
  };
}

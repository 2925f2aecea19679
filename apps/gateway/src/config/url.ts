import { z } from "zod";
import { isLoopback } from "./address.ts";
import { QUOTES_VALUE } from "./units.ts";

/**
 * Scheme, host and port, nothing else. What comes out is in the one canonical spelling (no default port, no trailing
 * slash, lower case), so that it can be compared with `Origin` byte by byte.
 */
export const origin = (protocols: readonly string[]) =>
  z
    .string()
    .superRefine((text, context) => {
      const reason = whyNotOrigin(text, protocols);
      if (reason !== undefined)
        context.addIssue({ code: "custom", message: reason, params: QUOTES_VALUE });
    })
    .transform((text) => new URL(text).origin)
    .meta({ rule: `an origin such as \`${protocols[0]}://example.com:8443\`` });

/** An OpenID issuer. Compared byte by byte with `iss`, so it is kept exactly as written. */
export const issuerUrl = z
  .string()
  .superRefine((text, context) => {
    const reason = whyNotIssuer(text);
    if (reason !== undefined)
      context.addIssue({ code: "custom", message: reason, params: QUOTES_VALUE });
  })
  .meta({ rule: "an https URL without query (plain http for loopback only)" });

/** An endpoint of a provider that gets secrets of ours. */
export const endpointUrl = z
  .string()
  .superRefine((text, context) => {
    const reason = whyNotIssuer(text);
    if (reason !== undefined)
      context.addIssue({ code: "custom", message: reason, params: QUOTES_VALUE });
  })
  .meta({ rule: "an https URL without query (plain http for loopback only)" });

function whyNotOrigin(text: string, protocols: readonly string[]): string | undefined {
  const url = parse(text);
  if (url === undefined) return "is not a URL";
  return (
    whyNotPlain(url, protocols) ??
    (url.pathname !== "/" ? `has a path; write ${JSON.stringify(url.origin)}` : undefined)
  );
}

function whyNotIssuer(text: string): string | undefined {
  const url = parse(text);
  if (url === undefined) return "is not a URL";
  const reason = whyNotPlain(url, ["https", "http"]);
  if (reason !== undefined) return reason;
  // Whoever can change an answer on the way to the provider could hand us keys of their own.
  if (url.protocol === "http:" && !isLoopback(url.hostname)) {
    return "is plain http to another machine, where anybody on the way could replace keys and read secrets";
  }
  return undefined;
}

function whyNotPlain(url: URL, protocols: readonly string[]): string | undefined {
  const protocol = url.protocol.slice(0, -1);
  if (!protocols.includes(protocol))
    return `has the scheme ${protocol}, not ${protocols.join(" or ")}`;
  if (url.username !== "" || url.password !== "") return "has a user name or a password in it";
  if (url.search !== "" || url.href.endsWith("?")) return "has a query";
  if (url.hash !== "" || url.href.endsWith("#")) return "has a fragment";
  return undefined;
}

function parse(text: string): URL | undefined {
  // The parser strips white space and control characters, which nobody means.
  // eslint-disable-next-line no-control-regex
  return /[\u0000-\u0020\\]/.test(text) ? undefined : (URL.parse(text) ?? undefined);
}

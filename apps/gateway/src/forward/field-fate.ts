import { EVERYDAY_FIELDS } from "./everyday-fields.ts";

/**
 * What happens to a field on its way through: decided beforehand for the names of every day, because the same few
 * dozen come with every request.
 */
export const FATE = {
  keep: 0,
  /** Ends at this hop, or would let a stranger write what only we may say. */
  strip: 1,
  cookie: 2,
  authorization: 3,
  tracestate: 4,
  setCookie: 5,
} as const;
export type Fate = (typeof FATE)[keyof typeof FATE];

// RFC 9110 §7.6.1: these speak of one connection.
const HOP_BY_HOP = [
  "connection",
  "keep-alive",
  "proxy-connection",
  "te",
  "transfer-encoding",
  "upgrade",
  "proxy-authenticate",
  "proxy-authorization",
];

// What services behind proxies believe about the caller. A client that could write one would be whoever it likes.
const IDENTITY_FIELDS = [
  "forwarded",
  "x-real-ip",
  "true-client-ip",
  "x-original-url",
  "x-rewrite-url",
  "x-http-method-override",
  "remote-user",
  "x-remote-user",
];
const IDENTITY_PREFIXES = ["tidegate-", "x-forwarded-"];

// Written anew by us for the next connection.
const REWRITTEN = ["host", "content-length", "expect", "traceparent", "x-request-id"];

const requestFates = createFates((name) => {
  if (name === "cookie") return FATE.cookie;
  // A proof of possession (RFC 9449) is part of the credential, and speaks of our address.
  if (name === "authorization" || name === "dpop") return FATE.authorization;
  if (name === "tracestate") return FATE.tracestate;
  // A handshake is ours on either side: the relay asks the upstream anew with a key of its own.
  const isOurs =
    HOP_BY_HOP.includes(name) || REWRITTEN.includes(name) || name.startsWith("sec-websocket-");
  return isOurs || isIdentityField(name) ? FATE.strip : FATE.keep;
});

const answerFates = createFates((name) => {
  if (name === "set-cookie") return FATE.setCookie;
  const isOurs = HOP_BY_HOP.includes(name) || name === "content-length" || name === "x-request-id";
  return isOurs || name.startsWith("tidegate-") ? FATE.strip : FATE.keep;
});

// RFC 9110 §6.5.1: what frames, routes, authenticates or changes the meaning of a message may not come behind it.
const NEVER_TRAILERS = [
  "authorization",
  "cache-control",
  "content-encoding",
  "content-range",
  "content-type",
  "cookie",
  "max-forwards",
  "set-cookie",
  "trailer",
  "www-authenticate",
];

const trailerFates = createFates((name) => {
  const isOurs = HOP_BY_HOP.includes(name) || REWRITTEN.includes(name);
  return isOurs || NEVER_TRAILERS.includes(name) || isIdentityField(name) ? FATE.strip : FATE.keep;
});

/** The fate of a request's field. @param name as it came */
export const requestFieldFate = requestFates;
/** The fate of an answer's field. @param name as it came */
export const answerFieldFate = answerFates;
/** The fate of a trailer, either way. @param name as it came */
export const trailerFate = trailerFates;

function isIdentityField(name: string): boolean {
  return (
    IDENTITY_FIELDS.includes(name) || IDENTITY_PREFIXES.some((prefix) => name.startsWith(prefix))
  );
}

/**
 * A client cannot add to what is known beforehand, so it can neither fill a memory with names of its own nor push
 * others out; any other name is decided anew each time.
 * @param decide gets the name in lower case with `_` as `-`, the way CGI-like services read it
 */
function createFates(decide: (name: string) => Fate): (name: string) => Fate {
  const decideSpelling = (name: string): Fate => decide(name.toLowerCase().replaceAll("_", "-"));
  const known = new Map(
    EVERYDAY_FIELDS.flatMap((name) =>
      [name, name.toLowerCase()].map((spelling) => [spelling, decideSpelling(spelling)] as const),
    ),
  );
  return (name) => known.get(name) ?? decideSpelling(name);
}

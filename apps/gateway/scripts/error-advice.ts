import type { FaultName } from "../src/fault.ts";
import type { ReasonName } from "../src/judge/reason.ts";

/** What an answer means and what whoever gets it should do, in words for people who write clients. */
export interface Advice {
  readonly means: string;
  readonly client: string;
}

const advice = (means: string, client: string): Advice => ({ means, client });

/** Everything but "no refusal", which never leaves the gateway. */
export const REASON_ADVICE: Readonly<Record<Exclude<ReasonName, "none">, Advice>> = {
  malformed_request: advice(
    "The request is not one that two servers would read the same way: two lengths, an odd transfer coding, a doubled Host, a target that is no path. Such requests are how one caller's request is smuggled into another's connection, so the connection ends.",
    "Fix what makes the request; usually a proxy or a hand-written client.",
  ),
  bad_path: advice(
    "The path has no canonical form, or holds what servers read in different ways (an encoded slash or backslash, `;`, an empty segment) on a route that does not allow it with `allowInPath`.",
    "Fix the path. Sending it again does not help.",
  ),
  misdirected: advice(
    "The Host is not one that this gateway serves. That is what keeps a foreign web page, whose name was made to resolve to this address, away from the APIs (DNS rebinding).",
    "Use the public name. Operators add names under `listen.hosts` or a route's `hosts`.",
  ),
  request_late: advice(
    "The request's head did not arrive within `listen.headerTimeoutMs`.",
    "Send it again, at once and whole.",
  ),
  target_too_long: advice(
    "Path and query together are longer than `listen.maxTargetBytes`.",
    "Move what is long into a body.",
  ),
  fields_too_large: advice(
    "Request line and header fields together are larger than `listen.maxHeaderBytes`.",
    "Send less: usually cookies that piled up.",
  ),
  expectation_failed: advice(
    "The Expect field asks for something other than `100-continue`.",
    "Leave the field out.",
  ),
  method_unknown: advice("The method is none of HTTP's.", "Use one of the API's methods."),
  forwarding_loop: advice(
    "The request has passed this gateway already: an upstream points back at it.",
    "Nothing. Operators fix the upstream's `targets`.",
  ),
  route_unknown: advice(
    "No route has this path, or the service behind it was taken away.",
    "Fix the path. Do not reconnect.",
  ),
  method_not_allowed: advice(
    "The path is served, but not with this method. `Allow` lists those that are.",
    "Use one of the methods in `Allow`.",
  ),
  upgrade_required: advice("The path takes WebSocket handshakes alone.", "Open a WebSocket."),
  upgrade_not_offered: advice(
    "The request asks for an upgrade where none is offered, or to something other than WebSocket.",
    "Send it without `Upgrade`.",
  ),
  bad_handshake: advice(
    "The WebSocket handshake breaks RFC 6455: version, key, a body, or a method other than GET.",
    "Use a WebSocket library.",
  ),
  overloaded: advice(
    "The gateway has as many calls or connections as it may (`listen.maxRequestsInFlight`), or an upstream's queue is full.",
    "Come back after `Retry-After`, with jitter.",
  ),
  origin_refused: advice(
    "A browser sent a credential by itself (a cookie, Basic) from a web origin that the route does not list.",
    "Nothing. Operators add the origin to the route's `origins`, if the site is theirs.",
  ),
  credential_missing: advice(
    "The route wants to know who calls. `WWW-Authenticate` says how to show it.",
    "Send a credential.",
  ),
  credential_invalid: advice(
    "The credential is expired, revoked, for another API, or simply wrong. Which of them is in the log alone: it would help whoever guesses.",
    "Get a new token or ask for the password again. Never send the same one in a loop.",
  ),
  credential_ambiguous: advice(
    "Two different credentials came at once, and nobody can say whose call it is.",
    "Send one.",
  ),
  identity_unavailable: advice(
    "The issuer's keys cannot be fetched, so nothing can be said about the credential. It may be good: keep it.",
    "Come back after `Retry-After` with the same credential.",
  ),
  identity_busy: advice(
    "More passwords are waiting to be checked than may wait. Checking one is slow on purpose.",
    "Come back after `Retry-After`.",
  ),
  identity_backoff: advice(
    "Several wrong passwords came for this name from this address; each further try has to wait longer.",
    "Wait for `Retry-After`, then ask the person.",
  ),
  tickets_open: advice(
    "As many tickets are open for this person or client as may be: they were fetched and not used.",
    "Use a ticket when you have it. They end by themselves within half a minute.",
  ),
  session_revoked: advice(
    "The session was ended: by its person, by an operator, or by the identity provider.",
    "Sign in again. A refreshed token does not help.",
  ),
  penalised: advice(
    "The caller kept sending far above its limits and sits in the penalty box.",
    "Wait for `Retry-After`; if the body says `reauthenticationRequired`, sign in again afterwards.",
  ),
  sign_in_due: advice(
    "The penalty is over, but the person has not signed in since it began. A token that was merely refreshed does not help.",
    "Send the person through sign-in with the `max_age` given and `prompt=login`, then come back with the new token.",
  ),
  scope_lacking: advice(
    "The credential is good, but lacks a scope that the route demands; `scope` names it.",
    "Ask for a token with that scope, or stop.",
  ),
  level_lacking: advice(
    "The route demands a stronger or more recent sign-in (RFC 9470): `acr_values` and `max_age` say which.",
    "Send the person through sign-in with those parameters, then come back with the new token.",
  ),
  limit_exceeded: advice(
    "A limit is used up. `RateLimit` and `RateLimit-Policy` name it; `violated-policies` of the body lists all that refused.",
    "Come back after `Retry-After`, and slow down before the limit: `RateLimit` tells what is left.",
  ),
  cost_impossible: advice(
    "One call costs more than the limit can ever hold, so waiting does not help.",
    "Split the call.",
  ),
  limit_store_lost: advice(
    "What was used up cannot be looked up, and this route does not let calls pass unseen.",
    "Come back after `Retry-After`, with jitter.",
  ),
  body_too_large: advice(
    "The body is larger than the route's `maxBodyBytes`, or a message than `websocket.maxMessageBytes`.",
    "Send less.",
  ),
  body_too_slow: advice(
    "The body arrived more slowly than `minBodyBytesPerSecond`: waiting for slow uploads without end is how a few clients take all connections.",
    "Send it again over a better connection.",
  ),
};

export const FAULT_ADVICE: Readonly<Record<FaultName, Advice>> = {
  upstream_unreachable: advice(
    "No connection to the service could be opened; it got nothing of the request.",
    "Any request may be sent again, with back-off.",
  ),
  upstream_ended: advice(
    "The service ended the connection before it began to answer. It may have done the work.",
    "Send idempotent requests again; with others, look first.",
  ),
  upstream_garbage: advice(
    "What the service answered is not HTTP, or not a handshake that a WebSocket may begin with.",
    "Nothing. Operators look at the service.",
  ),
  upstream_timeout: advice(
    "The service did not answer within the upstream's timeouts. It may still be working.",
    "Send idempotent requests again, with back-off; with others, look first.",
  ),
  upstream_saturated: advice(
    "All connections to the service are in use and the queue is full or too slow (`maxConnections`, `maxQueued`, `queueTimeoutMs`).",
    "Come back later, with jitter.",
  ),
  client_gone: advice(
    "The client left before the answer. Nobody sees this status but the log.",
    "Nothing.",
  ),
  draining: advice(
    "This gateway is stopping.",
    "Come back after the wait given; another one, or the restarted one, answers then.",
  ),
  function_failed: advice(
    "A function of the gateway's configuration failed on this call. The event `function.failed` in the log says which and why.",
    "Nothing. Operators mend the configuration.",
  ),
  store_unavailable: advice(
    "Something that must survive a crash (a session, a revocation) could not be written down: the data folder's disk is full or broken. Nothing was done.",
    "Send it again after `Retry-After`. Operators: look at the log line with the id in `instance`.",
  ),
  internal: advice(
    "Something went wrong in the gateway itself. `instance` of the body is the id of the log line.",
    "Send idempotent requests again, with back-off, and tell the operators the id.",
  ),
};

import type { AssertionSigner } from "@tidegate/auth";
import type { Clock } from "@tidegate/clock";
import type { OwnEndpoints } from "./accept/own-endpoints.ts";
import type { SlowBodyWatch } from "./accept/slow-body-watch.ts";
import type { AnswerContext } from "./forward/refusal-answer.ts";
import { buildUpstreamHead } from "./forward/upstream-head.ts";
import type { ThreadPenalties } from "./penalty/open-penalties.ts";
import type { Identifiers } from "./record/identifiers.ts";
import type { Log } from "./record/logger.ts";
import type { Recorder } from "./record/recorder.ts";
import type { HandshakeCloser } from "./relay/handshake-closer.ts";
import type { RelayParts } from "./relay/open-relay.ts";
import type { PublicName } from "./browser-session/public-name.ts";
import type { Preflights } from "./route/cors.ts";
import type { Road } from "./road.ts";
import type { LiveSessions } from "./session/live-sessions.ts";
import type { Upstream } from "./upstream/upstream.ts";
import type { Visit } from "./visit.ts";

/** Everything that calls meet on their way; made once per worker. */
export interface DataPlane {
  readonly road: Road;
  readonly servedHosts: ReadonlySet<string>;
  readonly ownEndpoints: OwnEndpoints;
  readonly publicName: PublicName;
  readonly preflights: Preflights;
  readonly upstreams: ReadonlyMap<string, Upstream>;
  readonly signer: AssertionSigner;
  readonly slowBodies: SlowBodyWatch;
  readonly relay: RelayParts;
  readonly handshakeCloser: HandshakeCloser;
  readonly liveSessions: LiveSessions;
  /** Undefined: nobody is ever boxed. */
  readonly penalties?: ThreadPenalties | undefined;
  readonly recorder: Recorder;
  readonly identifiers: Identifiers;
  readonly answers: AnswerContext;
  readonly viaName: string;
  /** Names, in lower case, of fields that carry API keys. */
  readonly keyFields: ReadonlySet<string>;
  readonly clock: Clock;
  readonly log: Log;
}

/** The upstream of an admitted visit. */
export function upstreamOf({ upstreams }: DataPlane, { route }: Visit): Upstream {
  const upstream = upstreams.get(route?.upstream ?? "");
  if (upstream === undefined) throw new Error(`Cannot forward: no upstream for ${route?.id}`);
  return upstream;
}

/** The head of an admitted visit's request to its upstream. @param extra as in `buildUpstreamHead` */
export function upstreamHeadOf(
  { signer, viaName, keyFields }: DataPlane,
  { head, peer, route, identity, trace, requestId }: Visit,
  extra: readonly string[],
): string {
  if (route === undefined || identity === undefined)
    throw new Error("Cannot forward: the call was not admitted");
  return buildUpstreamHead(
    head,
    {
      peer,
      assertion: signer.assertion(identity.principal, identity.fingerprint, route.audience),
      traceparent: trace.traceparent,
      keepsTracestate: trace.keepsTracestate,
      requestId,
      viaName,
      forwardAuthorization: route.config.forwardAuthorization,
      keyFields,
    },
    extra,
  );
}

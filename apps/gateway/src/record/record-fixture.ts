// Records for the tests of this folder.

import { REASON } from "../judge/reason.ts";
import { VERDICT } from "../judge/verdict.ts";
import { routeSchema } from "../config/route-schema.ts";
import { upstreamSchema } from "../config/upstream-schema.ts";
import type { Route } from "../route/route.ts";
import type { RequestRecord, SocketRecord } from "./recorder.ts";

export function routeFixture(id = "GET /bank/accounts/**", classes?: readonly string[]): Route {
  const config = routeSchema.parse({ path: "/bank", to: "bank", auth: "none", websocket: {} });
  const none: Route["policies"] = {
    address: [],
    identity: [],
    principal: [],
    body: [],
    capacity: [],
  };
  return {
    id,
    index: 0,
    config,
    audience: { upstream: "service", claims: [] },
    upstream: "bank",
    upstreamConfig: upstreamSchema.parse({ targets: ["http://127.0.0.1:4103"] }),
    policies: none,
    slotCount: 0,
    challenges: {
      bearerRealm: undefined,
      basicRealm: undefined,
      dpopAlgorithms: undefined,
      requiresProof: false,
    },
    limitPolicies: [],
    limitPolicyField: "",
    chargesBytes: false,
    websocket:
      classes === undefined || config.websocket === undefined
        ? undefined
        : { config: config.websocket, classes, policies: [[], []] },
  };
}

const peer = { address: "192.0.2.1", network: "192.0.2.1", port: 4711, connectionNumber: 7 };

export function requestFixture(changes: Partial<RequestRecord> = {}): RequestRecord {
  return {
    kind: 0,
    requestId: "0123456789abcdef0123456789abcdef",
    traceId: "fedcba9876543210fedcba9876543210",
    peer,
    method: "GET",
    route: routeFixture(),
    status: 200,
    closeCode: 0,
    verdict: VERDICT.admit,
    reason: REASON.none,
    fault: undefined,
    faultDetail: undefined,
    issuer: "https://tenant.example/",
    subject: "ada",
    target: "127.0.0.1:4103",
    requestBytes: 0,
    answerBytes: 64,
    durationMs: 1.2345678,
    upstreamMs: 0.9,
    addedMs: 0.08,
    ...changes,
  };
}

export function socketFixture(changes: Partial<SocketRecord> = {}): SocketRecord {
  return {
    connectionId: "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    requestId: "0123456789abcdef0123456789abcdef",
    traceId: "fedcba9876543210fedcba9876543210",
    peer,
    route: routeFixture("/documents/*/live", ["text", "binary", "control"]),
    issuer: "https://tenant.example/",
    subject: "ada",
    target: "127.0.0.1:4102",
    closeCode: 1000,
    closeReason: "",
    endedBy: "client",
    durationMs: 60_000,
    messages: [Float64Array.of(5, 0, 1), Float64Array.of(0, 9, 0)],
    bytes: [Float64Array.of(500, 0, 0), Float64Array.of(0, 900, 0)],
    dropped: [Float64Array.of(2, 0, 0), Float64Array.of(0, 0, 0)],
    delayedMs: 0,
    ...changes,
  };
}

// Everything the gateway says in its log beside requests and sockets: one function per event, so that names, fields
// and levels stand in one place. None of them throws. `docs/log.md` lists them.

import type { Revocation } from "@tidegate/auth";
import type { FaultName } from "../fault.ts";
import type { PenaltyEntry } from "../penalty/penalty-store.ts";
import type { Log } from "./logger.ts";

/** A port accepts connections. */
export function listenerOpened(
  log: Log,
  fields: { readonly listener: "public" | "admin"; readonly url: string },
): void {
  log.event("info", "listener.opened", fields);
}

/** Connections could not be accepted; told at most every 10 s, with the latest error. */
export function acceptFailed(
  log: Log,
  fields: { readonly worker: number; readonly error: Error; readonly count: number },
): void {
  log.event("error", "listener.accept-failed", fields);
}

/** All parts are ready; the first time after the start. */
export function gatewayReady(log: Log, fields: { readonly startMs: number }): void {
  log.event("info", "gateway.ready", fields);
}

/** A worker thread listens; `life` rises with every start of one. */
export function workerStarted(
  log: Log,
  fields: { readonly worker: number; readonly life: number },
): void {
  log.event("info", "worker.started", fields);
}

/** A worker thread ended by itself; its connections are lost, and another one is started in its place. */
export function workerFailed(
  log: Log,
  fields: { readonly worker: number; readonly life: number; readonly error: Error },
): void {
  log.event("error", "worker.failed", fields);
}

/** A worker did not acknowledge what every worker must know, such as a revocation; it is ended. */
export function workerDeaf(
  log: Log,
  fields: { readonly worker: number; readonly kind: string; readonly error: Error },
): void {
  log.event("error", "worker.deaf", fields);
}

/** Stopping began: no new work; what runs has until the deadline. */
export function gatewayDraining(
  log: Log,
  fields: {
    readonly signal: string;
    readonly requestsInFlight: number;
    readonly connections: number;
    readonly drainTimeoutMs: number;
  },
): void {
  log.event("info", "gateway.draining", fields);
}

/** The last line of a clean end. `cut` is what the deadline found still running. */
export function gatewayStopped(
  log: Log,
  fields: {
    readonly requestsCut: number;
    readonly socketsCut: number;
    readonly drainMs: number;
    readonly linesDropped: number;
  },
): void {
  log.event("info", "gateway.stopped", fields);
}

/** An attempt to use a target failed and another one is made, whose end stands in the request's own line. */
export function upstreamFailed(
  log: Log,
  fields: {
    readonly upstream: string;
    readonly target: string;
    readonly fault: FaultName;
    readonly detail: string;
    readonly requestId: string;
  },
): void {
  log.event("warn", "upstream.failed", fields);
}

/** Keys of an issuer were read, for the first time or changed. */
export function issuerKeysLoaded(
  log: Log,
  fields: { readonly issuer: string; readonly keys: number },
): void {
  log.event("info", "issuer.keys-loaded", fields);
}

/** Discovery or keys of an issuer could not be read; old keys may still serve. */
export function issuerFailed(
  log: Log,
  fields: { readonly issuer: string; readonly error: Error; readonly servesOldKeys: boolean },
): void {
  log.event("warn", "issuer.failed", fields);
}

/** A users file was read again after it changed; with a `problem` the users of before stay. */
export function usersReloaded(
  log: Log,
  { issuer, problem }: { readonly issuer: string; readonly problem: Error | undefined },
): void {
  if (problem === undefined) log.event("info", "users.reloaded", { issuer });
  else log.event("warn", "users.reload-failed", { issuer, error: problem });
}

/** A keys file changed: its keys are the new ones, or those of before when it cannot be used. */
export function keysReloaded(
  log: Log,
  { issuer, problem }: { readonly issuer: string; readonly problem: Error | undefined },
): void {
  if (problem === undefined) log.event("info", "keys.reloaded", { issuer });
  else log.event("warn", "keys.reload-failed", { issuer, error: problem });
}

/** When keys were last used could not be written down; the keys work all the same. */
export function keyUseNotWritten(
  log: Log,
  fields: { readonly issuer: string; readonly error: Error },
): void {
  log.event("warn", "keys.use-not-written", fields);
}

/** A credential was not accepted. Only for whoever looks into it: clients make these, and they learn less than `why`. */
export function credentialRefused(log: Log, fields: { readonly why: string }): void {
  log.event("debug", "credential.refused", fields);
}

/** A provider gives out what cannot be used here; told once per worker. */
export function issuerUnsupported(
  log: Log,
  fields: { readonly issuer: string; readonly what: string },
): void {
  log.event("warn", "issuer.unsupported", fields);
}

/** A provider does not answer about tokens; callers whose token is not remembered get 503 until it does. */
export function introspectionFailed(
  log: Log,
  fields: { readonly issuer: string; readonly error: Error },
): void {
  log.event("warn", "introspection.failed", fields);
}

/** A provider answers about tokens again. */
export function introspectionRecovered(log: Log, fields: { readonly issuer: string }): void {
  log.event("info", "introspection.recovered", fields);
}

/** Somebody signed in with a browser. `replaces`: in place of a session of the same person, as at step-up. */
export function sessionBegan(
  log: Log,
  fields: {
    readonly provider: string;
    readonly subject: string;
    readonly replaces: boolean;
    readonly canRenew: boolean;
  },
): void {
  log.event("info", "session.began", fields);
}

/** A browser session is over. */
export function sessionEnded(
  log: Log,
  fields: { readonly provider: string; readonly subject: string; readonly why: string },
): void {
  log.event("info", "session.ended", fields);
}

/** A provider did not do for a browser session what was asked: renew or revoke. An outage ends no session. */
export function sessionNotRenewed(
  log: Log,
  fields: { readonly provider: string; readonly why: string },
): void {
  log.event("warn", "session.not-renewed", fields);
}

/** When sessions were used could not be written down; it is tried again. */
export function sessionNotWritten(log: Log, fields: { readonly error: Error }): void {
  log.event("error", "session.not-written", fields);
}

/** A sign-in did not come to an end. */
export function signInFailed(
  log: Log,
  fields: { readonly provider: string; readonly page: string; readonly why: string },
): void {
  log.event("info", "sign-in.failed", fields);
}

/** What a person is called could not be asked; they are signed in all the same. */
export function profileNotRead(
  log: Log,
  fields: { readonly provider: string; readonly why: string },
): void {
  log.event("warn", "profile.not-read", fields);
}

/** A provider does not answer about passwords; callers whose password is not remembered get 503 until it does. */
export function passwordCheckFailed(
  log: Log,
  fields: { readonly issuer: string; readonly error: Error },
): void {
  log.event("warn", "password-check.failed", fields);
}

/** A provider answers about passwords again. */
export function passwordCheckRecovered(log: Log, fields: { readonly issuer: string }): void {
  log.event("info", "password-check.recovered", fields);
}

/** Somebody asked the admin listener for more than the open endpoints, without the token or under a foreign name. */
export function adminRefused(
  log: Log,
  fields: { readonly status: number; readonly reason: string; readonly address: string },
): void {
  log.event("warn", "admin.refused", fields);
}

/** The store that limits are shared in answers. */
export function limitStoreReached(log: Log, fields: { readonly worker: number }): void {
  log.event("info", "limit-store.reached", fields);
}

/** It does not any more; until it does, each shared limit does what its `whenStoreLost` says. */
export function limitStoreLost(
  log: Log,
  fields: { readonly worker: number; readonly reason: string },
): void {
  log.event("warn", "limit-store.lost", fields);
}

/** Somebody was put into the penalty box: who, for going on over which limit, and until when. */
export function penaltyBegan(log: Log, { key, strikes, reason, untilMs }: PenaltyEntry): void {
  log.event("warn", "penalty.began", { caller: key, strikes, limit: reason, untilMs });
}

/** What was open of callers who were boxed ended on this worker: sockets, and answers that took their time. */
export function penaltyEnforced(
  log: Log,
  fields: { readonly worker: number; readonly ended: number },
): void {
  log.event("info", "penalty.enforced", fields);
}

/** A penalty could not be written down or shared; it holds until this process or worker ends. */
export function penaltyFailed(log: Log, fields: { readonly error: Error }): void {
  log.event("error", "penalty.failed", fields);
}

/** A function of the configuration threw, or gave what it must not; the call got 500. `error` says where it stands. */
export function functionFailed(
  log: Log,
  fields: { readonly error: Error; readonly requestId: string },
): void {
  log.event("error", "function.failed", fields);
}

/** Something was revoked, for everybody on every worker: what, and who asked for it. */
export function revocationRecorded(
  log: Log,
  fields: {
    readonly kind: Revocation["kind"];
    readonly issuer: string;
    /** The `jti`, `sid` or `sub`. */
    readonly name: string;
    readonly source: string;
  },
): void {
  log.event("info", "revocation.recorded", fields);
}

/** A report of an ended session was not accepted. `who` is empty when nobody here is called so. */
export function eventReportRefused(
  log: Log,
  fields: {
    readonly what: "logout token" | "signal";
    readonly who: string;
    /** More than the sender is told. */
    readonly why: string;
  },
): void {
  log.event("warn", "revocation.report-refused", fields);
}

/** A defect of ours: something threw that no step of the road expects. The error id is what the client was told. */
export function defectFound(
  log: Log,
  fields: { readonly where: string; readonly error: Error; readonly requestId?: string },
): void {
  log.event("error", "defect.found", fields);
}

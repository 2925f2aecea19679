// Everything the gateway says in its log beside requests and sockets: one function per event, so that names, fields
// and levels stand in one place. None of them throws. `docs/log.md` lists them.

import type { FaultName } from "../fault.ts";
import type { Log } from "./logger.ts";

/** The process runs and is about to read its configuration and open its ports. */
export function gatewayStarting(
  log: Log,
  fields: { readonly version: string; readonly node: string; readonly configFile: string },
): void {
  log.event("info", "gateway.starting", fields);
}

/** A port accepts connections. */
export function listenerOpened(
  log: Log,
  fields: { readonly listener: "public" | "admin"; readonly url: string },
): void {
  log.event("info", "listener.opened", fields);
}

/** All parts are ready; the first time after the start. */
export function gatewayReady(log: Log, fields: { readonly startMs: number }): void {
  log.event("info", "gateway.ready", fields);
}

/** A setting that is allowed and dangerous. */
export function settingWarned(
  log: Log,
  fields: { readonly path: string; readonly detail: string },
): void {
  log.event("warn", "setting.warned", fields);
}

/** Stopping began: no new work; what runs has until the deadline. */
export function gatewayDraining(
  log: Log,
  fields: {
    readonly signal: string;
    readonly requestsInFlight: number;
    readonly socketsOpen: number;
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

/** One attempt to use a target failed; the request itself may still have been answered by another attempt. */
export function upstreamFailed(
  log: Log,
  fields: {
    readonly upstream: string;
    readonly target: string;
    readonly fault: FaultName;
    readonly detail: string;
    readonly requestId?: string | undefined;
    readonly isRetried: boolean;
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

/** A credential was not accepted. Only for whoever looks into it: clients make these, and they learn less than `why`. */
export function credentialRefused(log: Log, fields: { readonly why: string }): void {
  log.event("debug", "credential.refused", fields);
}

/** Somebody asked the admin listener for more than the open endpoints, without the token or under a foreign name. */
export function adminRefused(
  log: Log,
  fields: { readonly status: number; readonly reason: string; readonly address: string },
): void {
  log.event("warn", "admin.refused", fields);
}

/** The configuration was read again; `sockets` are those that stay because their route did not change. */
export function configurationReloaded(
  log: Log,
  fields: { readonly routes: number; readonly socketsKept: number; readonly reloadMs: number },
): void {
  log.event("info", "configuration.reloaded", fields);
}

/** A defect of ours: something threw that no step of the road expects. The error id is what the client was told. */
export function defectFound(
  log: Log,
  fields: { readonly where: string; readonly error: Error; readonly requestId?: string },
): void {
  log.event("error", "defect.found", fields);
}

import type { LimiterMemory, LockOwner } from "@tidegate/limits";
import type { PortableConfig } from "../config/config-functions.ts";
import type { PenaltyInit } from "../penalty/open-penalties.ts";

/** What a worker is born with; everything in it can be copied or shared between threads. */
export interface WorkerInit {
  /** `fromPortable` makes the configuration of it. */
  readonly config: PortableConfig;
  readonly worker: number;
  readonly workers: number;
  readonly life: number;
  readonly port: number;
  readonly viaName: string;
  readonly cells: SharedArrayBuffer;
  /** Undefined when the configuration has no limit. */
  readonly limits: { readonly memory: LimiterMemory; readonly lockOwner: LockOwner } | undefined;
  /** Undefined when the configuration has no penalties. */
  readonly penalties: PenaltyInit | undefined;
  /** Issuers of the users files, by name. */
  readonly passwordIssuers: Readonly<Record<string, string>>;
}

/** What a worker says when it listens. */
export interface WorkerReady {
  readonly port: number;
}

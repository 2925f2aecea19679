/** Whether one part of the gateway can do its work now. Shown to anybody, so it names parts and never secrets. */
export interface Readiness {
  /** Such as `issuer people`, `upstream bank`, `listener`. */
  readonly name: string;
  readonly isReady: boolean;
  /** Why not, or how: one short sentence. */
  readonly detail: string;
}

/** The body and status of `/healthz` and `/readyz`, the same on the public and on the admin listener. */
export interface HealthAnswer {
  readonly status: 200 | 503;
  /** JSON with its line end. */
  readonly body: string;
}

/** The process runs and its event loop turns: that is all a liveness probe may know, or it restarts what would heal. */
export const HEALTHY: HealthAnswer = { status: 200, body: '{"status":"alive"}\n' };

/** Ready when every part is; otherwise 503 and which parts are not. */
export function toReadinessAnswer(parts: readonly Readiness[]): HealthAnswer {
  const isReady = parts.every((part) => part.isReady);
  const body = `${JSON.stringify({ status: isReady ? "ready" : "not-ready", parts })}\n`;
  return { status: isReady ? 200 : 503, body };
}

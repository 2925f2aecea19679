import { Type } from "typebox";
import { serviceFault } from "./fault.ts";
import type { ServiceApp } from "./service.ts";

const HealthSchema = Type.Object(
  { status: Type.Enum(["live", "ready"]) },
  { title: "Health", additionalProperties: false },
);

/**
 * `/healthz`: the process answers (else: restart it). `/readyz`: it can do its work now (else: send nothing here).
 * Readiness does not ask the gateway: the two would wait for each other at start.
 */
export function addHealth(
  app: ServiceApp,
  state: { readonly isDraining: () => boolean; readonly probe: () => void },
): void {
  const response = {
    200: { description: "Yes.", content: { "application/json": { schema: HealthSchema } } },
  };
  app.get(
    "/healthz",
    {
      config: { isPublic: true },
      schema: { operationId: "isLive", summary: "Is the process alive?", response },
    },
    async () => ({ status: "live" }),
  );
  app.get(
    "/readyz",
    {
      config: { isPublic: true, faults: ["stopping", "store_unavailable"] },
      schema: { operationId: "isReady", summary: "Can it serve now?", response },
    },
    async () => {
      if (state.isDraining()) throw serviceFault("stopping", "Not ready: the service is stopping");
      try {
        state.probe();
      } catch (cause) {
        throw serviceFault("store_unavailable", "Not ready: the data cannot be reached", { cause });
      }
      return { status: "ready" };
    },
  );
}

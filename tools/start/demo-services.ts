import { fileURLToPath } from "node:url";
import { join } from "node:path";
import type { Ports } from "./ports.ts";
import type { ServicePlan } from "./service.ts";

const fromRoot = (path: string): string => fileURLToPath(new URL(`../../${path}`, import.meta.url));

/**
 * The processes of the demo in the order in which they start: the gateway asks the identity provider for its keys, services
 * ask the gateway. The gateway stops first: it forwards nothing any more when the others go. A service gets the variables it
 * reads and no others.
 */
export function demoServices(options: {
  readonly ports: Ports;
  readonly dataFolder: string;
  readonly clientsFile: string;
  /** The gateway's, at the identity provider. */
  readonly clientSecret: string;
  readonly path: string;
}): ServicePlan[] {
  const { ports, dataFolder, clientsFile, clientSecret, path } = options;
  const workspaceUrl = `http://127.0.0.1:${ports.workspace}`;
  const tasksUrl = `http://127.0.0.1:${ports.tasks}`;
  return [
    {
      name: "identity",
      args: [fromRoot("apps/identity/src/main.ts")],
      env: {
        PATH: path,
        IDENTITY_PORT: String(ports.identity),
        IDENTITY_ADMIN_PORT: String(ports.identityAdmin),
        IDENTITY_URL: identityUrl(ports),
        IDENTITY_DATA: identityFolder(dataFolder),
        IDENTITY_CLIENTS_FILE: clientsFile,
      },
      readyUrl: `http://127.0.0.1:${ports.identity}/readyz`,
    },
    {
      name: "gateway",
      args: [
        fromRoot("apps/gateway/src/cli/main.ts"),
        "start",
        fromRoot("tools/start/tidegate.config.ts"),
      ],
      env: {
        PATH: path,
        DEMO_PORT: String(ports.gateway),
        DEMO_ADMIN_PORT: String(ports.admin),
        DEMO_DATA: join(dataFolder, "gateway"),
        DEMO_IDENTITY_URL: identityUrl(ports),
        DEMO_CLIENT_SECRET: clientSecret,
        DEMO_TASKS_URL: tasksUrl,
        DEMO_WORKSPACE_URL: workspaceUrl,
      },
      readyUrl: `http://127.0.0.1:${ports.gateway}/readyz`,
      stopsFirst: true,
    },
    {
      name: "tasks",
      args: [fromRoot("apps/tasks/src/main.ts")],
      env: {
        PATH: path,
        TASKS_PORT: String(ports.tasks),
        TASKS_DATABASE: join(dataFolder, "tasks.sqlite"),
        TASKS_GATEWAY_URL: publicUrl(ports),
      },
      readyUrl: `${tasksUrl}/readyz`,
    },
    {
      name: "workspace",
      args: [fromRoot("apps/workspace/src/main.ts")],
      env: { PATH: path, WORKSPACE_PORT: String(ports.workspace) },
      readyUrl: `${workspaceUrl}/readyz`,
    },
  ];
}

/** How people reach the gateway. A name, not an address: passkeys and cookies want one. */
export function publicUrl(ports: Ports): string {
  return `http://localhost:${ports.gateway}`;
}

/** How people reach the identity provider: its issuer. */
export function identityUrl(ports: Ports): string {
  return `http://localhost:${ports.identity}`;
}

/** Where the identity provider keeps its database, keys, letters and the administrators' token. */
export function identityFolder(dataFolder: string): string {
  return join(dataFolder, "identity");
}

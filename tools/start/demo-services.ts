import { fileURLToPath } from "node:url";
import { join } from "node:path";
import type { Ports } from "./ports.ts";
import type { ServicePlan } from "./service.ts";

const fromRoot = (path: string): string => fileURLToPath(new URL(`../../${path}`, import.meta.url));

/**
 * The processes of the demo in the order in which they start, and stop. The gateway is first both times: services fetch its
 * keys when they start, and it forwards nothing any more when they go. A service gets the variables it reads and no others.
 */
export function demoServices(options: {
  readonly ports: Ports;
  readonly dataFolder: string;
  readonly usersFile: string;
  readonly clientsFile: string;
  readonly path: string;
}): ServicePlan[] {
  const { ports, dataFolder, usersFile, clientsFile, path } = options;
  const tasksUrl = `http://127.0.0.1:${ports.tasks}`;
  return [
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
        DEMO_USERS_FILE: usersFile,
        DEMO_TASKS_URL: tasksUrl,
      },
      readyUrl: `http://127.0.0.1:${ports.gateway}/readyz`,
    },
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

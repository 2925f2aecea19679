import type { DemoUsers } from "./demo-users.ts";
import { identityFolder, identityUrl, publicUrl } from "./demo-services.ts";
import type { Ports } from "./ports.ts";

/** What a person sees when everything runs: where it is, who may come in, and three things to try. */
export function banner(options: {
  readonly ports: Ports;
  readonly users: DemoUsers;
  readonly dataFolder: string;
}): string {
  const { ports, users, dataFolder } = options;
  const url = publicUrl(ports);
  const curl = `curl -u ada:${users.ada}`;
  return `
  Tasks      ${url}   (sign in as ada or grace)
  Gateway    ${url}
  Identity   ${identityUrl(ports)}/account   (letters it writes: ${identityFolder(dataFolder)}/outbox)
  Admin      http://localhost:${ports.admin}   (token: ${dataFolder}/gateway/admin-token)
  Data       ${dataFolder}   (logs in logs/)

  People     ada    ${users.ada}
             grace  ${users.grace}

  Try
    A task      ${curl} -H 'Content-Type: application/json' -d '{"title":"Buy milk"}' ${url}/tasks
    Live feed   npm run live               (in another terminal; it shows what the command above does)
    A refusal   curl -i -u ada:wrong ${url}/tasks
`;
}

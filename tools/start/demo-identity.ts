import { join } from "node:path";
import type { Random } from "@tidegate/clock";
import { publicUrl } from "./demo-services.ts";
import type { DemoUsers } from "./demo-users.ts";
import type { Ports } from "./ports.ts";
import { readJsonFile, writePrivateFile } from "./private-file.ts";

/** The clients and APIs that the demo's identity provider knows, in a file of mode 0600. */
export interface DemoClients {
  /** What the provider reads. */
  readonly clientsFile: string;
  /** The gateway's secret at the provider. */
  readonly clientSecret: string;
}

const SCOPES = {
  "tasks:read": "see your tasks",
  "tasks:write": "change your tasks",
};

/**
 * Writes the provider's client file for the ports of this start. The gateway's secret is made once and kept.
 * @throws {Error} when the file of the last start is not one
 */
export function provideDemoClients(
  dataFolder: string,
  options: { readonly ports: Ports; readonly random: Random },
): DemoClients {
  const { ports, random } = options;
  const secretFile = join(dataFolder, "gateway-client.json");
  const known = readJsonFile(secretFile) as { readonly secret?: unknown } | undefined;
  if (known !== undefined && (typeof known.secret !== "string" || known.secret.length < 22)) {
    throw new Error(
      `Cannot use ${secretFile}: it must hold a secret. Remove it to have a new one made`,
    );
  }
  const clientSecret =
    typeof known?.secret === "string" ? known.secret : random.bytes(32).toString("base64url");
  if (known === undefined) {
    writePrivateFile(
      secretFile,
      `${JSON.stringify({ id: "gateway", secret: clientSecret }, undefined, 2)}\n`,
    );
  }
  const clientsFile = join(dataFolder, "clients.json");
  const url = publicUrl(ports);
  const opaque = `${url}/opaque`;
  const file = {
    resources: [
      { identifier: url, format: "jwt", scopes: Object.keys(SCOPES), permissions: SCOPES },
      // The same API by tokens that say nothing by themselves: asked about (RFC 7662), revoked (RFC 7009).
      {
        identifier: opaque,
        format: "opaque",
        scopes: Object.keys(SCOPES),
        permissions: SCOPES,
        introspectedBy: ["gateway"],
      },
    ],
    clients: [
      {
        id: "gateway",
        name: "Tidegate",
        kind: "web",
        secret: clientSecret,
        redirectUris: [`${url}/.tidegate/callback`],
        signOutUris: [`${url}/.tidegate/signed-out`],
        backchannelLogoutUri: `http://127.0.0.1:${ports.gateway}/.tidegate/backchannel-logout`,
        resources: [url, opaque],
        consent: "implied",
        basicScopes: Object.keys(SCOPES),
      },
      {
        id: "tidegate-cli",
        name: "Tidegate on the command line",
        kind: "native",
        redirectUris: ["http://127.0.0.1/callback"],
        resources: [url, opaque],
      },
    ],
  };
  writePrivateFile(clientsFile, `${JSON.stringify(file, undefined, 2)}\n`);
  return { clientsFile, clientSecret };
}

/**
 * Makes the demo's people at the provider. Somebody who is there already keeps the password they have, unless the demo's
 * passwords were made anew: then those that are shown have to work.
 * @throws {Error} with the provider's answer
 */
export async function provideDemoPeople(
  adminUrl: string,
  options: {
    readonly token: string;
    readonly users: DemoUsers;
    readonly areUsersNew: boolean;
    readonly signal: AbortSignal;
  },
): Promise<void> {
  const { token, users, areUsersNew, signal } = options;
  const post = async (path: string, body: object): Promise<number> => {
    const answer = await fetch(`${adminUrl}${path}`, {
      method: "POST",
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
      body: JSON.stringify(body),
      signal: AbortSignal.any([signal, AbortSignal.timeout(10_000)]),
    });
    const text = await answer.text();
    if (answer.ok || answer.status === 409) return answer.status;
    throw new Error(`Cannot make the demo's people: ${answer.status} ${text}`);
  };
  for (const [loginName, password] of Object.entries(users)) {
    const email = `${loginName}@example.org`;
    const status = await post("/people", { loginName, email, password });
    if (status === 409 && areUsersNew) await post(`/people/${loginName}/reset`, { password });
  }
}

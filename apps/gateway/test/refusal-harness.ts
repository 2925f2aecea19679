// Clients whose handshakes are refused, and how they are told.

import assert from "node:assert/strict";
import { issuer as startIssuer, rawConnection, type RawConnection } from "@tidegate/testkit";
import { startGateway, type GatewayOptions } from "./http-harness.ts";
import { handshake, readClose, startRawUpstream } from "./socket-harness.ts";

export type Fields = Readonly<Record<string, string | undefined>>;
type SocketOptions = NonNullable<NonNullable<GatewayOptions["routes"]>[number]["websocket"]>;
export type Told = { readonly code: number; readonly reason: string; readonly head: string };

/** A gateway whose `/live` wants a person with a scope. */
export async function setUp({
  websocket = {},
  answer,
  ...options
}: Partial<GatewayOptions> & {
  readonly websocket?: SocketOptions;
  readonly answer?: () => string | undefined;
} = {}) {
  await using parts = new AsyncDisposableStack();
  const provider = parts.use(await startIssuer({ algorithms: ["ES256"] }));
  const upstream = parts.use(await startRawUpstream(answer === undefined ? {} : { answer }));
  const gateway = parts.use(
    await startGateway({
      targets: [`http://127.0.0.1:${upstream.port}`],
      identity: { people: { kind: "oidc", issuer: provider.url, audience: "https://api.test" } },
      ...options,
      routes: options.routes ?? [
        {
          path: "/live",
          auth: { by: ["people"], scopes: ["live"] },
          origins: ["https://other.example"],
          websocket,
        },
      ],
    }),
  );
  const as = async (sub: string, scope = "live"): Promise<Fields> => ({
    Authorization: `Bearer ${await provider.mint({ sub, scope, exp: Math.floor(Date.now() / 1_000) + 3_000 })}`,
  });
  const owned = parts.move();
  return {
    gateway,
    upstream,
    as,
    Origin: gateway.url,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** Everything that a client gets whose handshake has these fields, and who behaves. */
export async function meet(port: number, fields: Fields): Promise<number | Told> {
  await using client = await rawConnection(port);
  await client.write(handshake(port, fields));
  return await outcome(client);
}

export async function outcome(client: RawConnection): Promise<number | Told> {
  const head = (await client.readUntil("\r\n\r\n")).toString("latin1");
  const status = Number(head.slice(9, 12));
  return status === 101 ? { ...readClose(await client.readToEnd()), head } : status;
}

export const isTold = (met: number | Told): met is Told => typeof met !== "number";

export function assertTold(
  met: number | Told,
  code: number,
  reason: string | RegExp,
): asserts met is Told {
  assert.ok(isTold(met), `answered by status ${JSON.stringify(met)}`);
  assert.equal(met.code, code);
  if (typeof reason === "string") assert.equal(met.reason, reason);
  else assert.match(met.reason, reason);
}

/** Who never leaves, however long ago they were told. */
export async function stay(
  port: number,
  fields: Fields,
): Promise<RawConnection & { status: number }> {
  const client = await rawConnection(port);
  await client.write(handshake(port, fields));
  const head = (await client.readUntil("\r\n\r\n")).toString("latin1");
  return Object.assign(client, { status: Number(head.slice(9, 12)) });
}

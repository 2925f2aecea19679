// The relay behind the real listener, with real routes, limits and upstream connections; what is left out of the
// road here is who may come in. Frames are written by hand, so that tests can write wrong ones.

import assert from "node:assert/strict";
import type { Socket } from "node:net";
import { createLimiter } from "@tidegate/limits";
import { systemClock, systemRandom, type Clock } from "@tidegate/clock";
import {
  rawConnection,
  startRawServer,
  waitFor,
  type RawConnection,
  type RawServer,
} from "@tidegate/testkit";
import { OPCODE, toAcceptValue } from "@tidegate/wire";
import { createClientAddress } from "../src/accept/client-address.ts";
import type { UpgradeExchange } from "../src/accept/exchange.ts";
import { createHttp1Listener } from "../src/accept/http1-listener.ts";
import { validateConfig } from "../src/config/load-config.ts";
import type { GatewayConfigInput } from "../src/config/schema.ts";
import { TOWARDS, type Session } from "../src/judge/call.ts";
import { REASON_BY_CODE } from "../src/judge/reason.ts";
import { beginSocket, createSession, endSession } from "../src/judge/session.ts";
import type { Recorder, SocketRecord } from "../src/record/recorder.ts";
import { inspectHandshake } from "../src/relay/inspect-handshake.ts";
import { openRelay, type RelayOpening } from "../src/relay/open-relay.ts";
import { compileRoutes } from "../src/route/compile-routes.ts";
import { LiveSessions } from "../src/session/live-sessions.ts";
import { LiveSockets } from "../src/session/live-sockets.ts";
import { createUpstream } from "../src/upstream/upstream-pool.ts";

type SocketOptions = NonNullable<GatewayConfigInput["routes"][number]["websocket"]>;

export interface RelayGateway extends AsyncDisposable {
  readonly port: number;
  readonly liveSockets: LiveSockets;
  readonly liveSessions: LiveSessions;
  /** How each handshake went, in order. */
  readonly openings: readonly RelayOpening[];
  /** What was recorded of sockets that ended. */
  readonly records: readonly SocketRecord[];
  /** Sessions begun, in order. */
  readonly sessions: readonly Session[];
  /** How many sessions were given back. */
  readonly endedSessions: () => number;
  /** Messages counted: verdict × classes + class. */
  readonly counters: readonly [Float64Array, Float64Array];
  /** Waits for the record of the `count`th ended socket. */
  record(count?: number): Promise<SocketRecord>;
}

/** Serves `/live` with the given rules, relayed to `upstreamPort`. */
export async function startRelayGateway(
  upstreamPort: number,
  options: {
    readonly websocket?: SocketOptions;
    readonly clock?: Clock;
    readonly firstByteTimeoutMs?: number;
  } = {},
): Promise<RelayGateway> {
  const { clock = systemClock, websocket = {}, firstByteTimeoutMs = 5_000 } = options;
  const { config } = validateConfig(
    {
      listen: { port: 0 },
      limits: [
        {
          kind: "bucket",
          rate: { count: 1_000_000, seconds: 1 },
          burst: 1_000_000,
          per: "address",
        },
      ],
      upstreams: { live: { targets: [`http://127.0.0.1:${upstreamPort}`], firstByteTimeoutMs } },
      routes: [{ path: "/live", to: "live", auth: "none", websocket }],
    } satisfies GatewayConfigInput,
    { folder: "/" },
  );
  const { routes } = compileRoutes(config, {
    clock,
    createLimiter: (definitions) => createLimiter({ definitions, random: systemRandom }),
    metrics: { limitCounters: (_routeId, names) => new Float64Array(names.length) },
  });
  const route = routes[0]!;
  const rules = route.websocket!;
  const upstream = createUpstream("live", route.upstreamConfig, clock);
  const liveSockets = new LiveSockets(clock);
  const liveSessions = new LiveSessions({ clock, mayGoOn: () => undefined });
  const openings: RelayOpening[] = [];
  const records: SocketRecord[] = [];
  const sessions: Session[] = [];
  let endedSessions = 0;
  const counters = [new Float64Array(24), new Float64Array(24)] as const;
  const recorder: Recorder = {
    request() {},
    socketOpened() {},
    socketEnded: (record) => void records.push(record),
    messageCounters: (_route, towards) => counters[towards],
  };
  const stopping = new AbortController();

  const serve = async (upgrade: UpgradeExchange): Promise<void> => {
    const offer = inspectHandshake(upgrade.head);
    if ("reason" in offer) {
      upgrade.refuse(REASON_BY_CODE[offer.reason]!.status, offer.fields, offer.detail);
      return;
    }
    const session = createSession(route);
    sessions.push(session);
    beginSocket(route, { session, peer: upgrade.peer });
    const end = (): void => {
      endedSessions += 1;
      endSession(route, session);
    };
    const opening = await openRelay(
      {
        upgrade,
        offer,
        route,
        rules,
        session,
        requestId: "request",
        traceId: "trace",
        connectionId: `connection-${sessions.length}`,
        upstream,
        target: upstream.choose(),
        upstreamHead: (extra) => {
          let head = `GET ${upgrade.head.path}${upgrade.head.query} HTTP/1.1\r\nHost: ${upgrade.head.authority}\r\n`;
          for (let at = 0; at < extra.length; at += 2) head += `${extra[at]}: ${extra[at + 1]}\r\n`;
          return `${head}\r\n`;
        },
        signal: stopping.signal,
        ended: end,
      },
      { clock, random: systemRandom, recorder, liveSockets, liveSessions },
    );
    openings.push(opening);
    if (opening.kind !== "open") end();
    if (opening.kind === "flooded") upgrade.refuse(400, [], "flooded");
    if (opening.kind === "failed" && opening.fault !== "client_gone") {
      upgrade.refuse(502, [], opening.fault);
    }
  };

  const listener = createHttp1Listener({
    listen: config.listen,
    servedHosts: new Set(["127.0.0.1", "localhost"]),
    clientAddress: createClientAddress([]),
    connections: { isFull: () => false, opened() {}, closed() {} },
    firstConnectionNumber: 0,
    arrivals: {
      request: ({ answer }) => {
        answer.head(404, [], 0);
        answer.end([]);
      },
      upgrade: (upgrade) => void serve(upgrade),
      refused: ({ reason }, write) => write(REASON_BY_CODE[reason]!.status, [], ""),
    },
  });
  const port = await listener.listen({ port: 0, isShared: false });
  return {
    port,
    liveSockets,
    liveSessions,
    openings,
    records,
    sessions,
    counters,
    endedSessions: () => endedSessions,
    record: (count = 1) =>
      waitFor(() => records[count - 1], { what: `record ${count} of a socket` }),
    async [Symbol.asyncDispose]() {
      stopping.abort();
      liveSessions[Symbol.dispose]();
      liveSockets.cut();
      upstream.close();
      await listener[Symbol.asyncDispose]();
    },
  };
}

/** An upstream that accepts every handshake by hand; the test then speaks for it on the raw socket. */
export async function startRawUpstream(
  options: {
    /** Field lines to add to the 101, each with its CRLF. */
    readonly fields?: string;
    /** Answers instead of a valid 101. */
    readonly answer?: (key: string, request: string) => string | undefined;
    readonly behind?: Buffer;
  } = {},
): Promise<RawUpstream> {
  const requests: string[] = [];
  const server = await startRawServer((socket, index) => {
    const onData = (): void => {
      const text = server.received(index).toString("latin1");
      const end = text.indexOf("\r\n\r\n");
      if (end < 0) return;
      socket.off("data", onData);
      requests[index] = text.slice(0, end + 4);
      const key = /sec-websocket-key: (\S+)/i.exec(text)?.[1] ?? "";
      if (options.answer !== undefined) {
        const answer = options.answer(key, text);
        if (answer !== undefined) socket.write(answer, "latin1");
        return;
      }
      const head = Buffer.from(switchingProtocols(key, options.fields));
      socket.write(options.behind === undefined ? head : Buffer.concat([head, options.behind]));
    };
    socket.on("data", onData);
  });
  const frames = (index: number): Buffer => {
    const all = server.received(index);
    return all.subarray((requests[index] ?? "").length);
  };
  return {
    server,
    port: server.port,
    requests,
    frames,
    async socket(index = 0) {
      const socket = await server.socketAt(index);
      await waitFor(() => requests[index] !== undefined, { what: "the handshake at the upstream" });
      return socket;
    },
    received: async (wanted, index = 0) => {
      await waitFor(() => frames(index).length >= wanted.length, {
        what: `${wanted.length} bytes at the upstream`,
      });
      assert.deepEqual(frames(index), wanted);
    },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

export interface RawUpstream extends AsyncDisposable {
  readonly server: RawServer;
  readonly port: number;
  /** Heads of the handshakes, by connection. */
  readonly requests: readonly string[];
  /** Bytes that came behind the handshake on a connection. */
  frames(index: number): Buffer;
  socket(index?: number): Promise<Socket>;
  /** Waits until exactly `wanted` has come behind the handshake. */
  received(wanted: Buffer, index?: number): Promise<void>;
}

export const switchingProtocols = (key: string, fields = ""): string =>
  "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
  `Sec-WebSocket-Accept: ${toAcceptValue(key)}\r\n${fields}\r\n`;

export const CLIENT_KEY = "dGhlIHNhbXBsZSBub25jZQ==";

/** The head of a client's handshake; a field given as undefined is left out. */
export function handshake(
  port: number,
  fields: Readonly<Record<string, string | undefined>> = {},
  { method = "GET" } = {},
): string {
  const all: Record<string, string | undefined> = {
    Host: `127.0.0.1:${port}`,
    Connection: "Upgrade",
    Upgrade: "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": CLIENT_KEY,
    ...fields,
  };
  const lines = Object.entries(all).flatMap(([name, value]) =>
    value === undefined ? [] : [`${name}: ${value}`],
  );
  return [`${method} /live HTTP/1.1`, ...lines, "", ""].join("\r\n");
}

/** A client whose handshake was accepted; the head of the 101 was taken. */
export async function openClient(
  gateway: { readonly port: number },
  fields: Readonly<Record<string, string | undefined>> = {},
): Promise<RawConnection & { readonly head: string }> {
  const client = await rawConnection(gateway.port);
  await client.write(handshake(gateway.port, fields));
  const head = (await client.readUntil("\r\n\r\n")).toString("latin1");
  assert.match(head, /^HTTP\/1\.1 101 /);
  return Object.assign(client, { head });
}

export interface FrameOptions {
  readonly opcode?: number;
  readonly isFinal?: boolean;
  readonly reserved?: number;
}

/** A client's frame, masked. */
export function masked(payload: string | Buffer, options: FrameOptions = {}): Buffer {
  const bytes = Buffer.from(payload as string);
  const mask = Buffer.of(0x5a, 0x01, 0xfe, 0x77);
  const head = frameHead(bytes.length, 0x80, options);
  return Buffer.concat([head, mask, bytes.map((byte, at) => byte ^ mask[at & 3]!)]);
}

/** A server's frame, bare. */
export function bare(payload: string | Buffer, options: FrameOptions = {}): Buffer {
  const bytes = Buffer.from(payload as string);
  return Buffer.concat([frameHead(bytes.length, 0, options), bytes]);
}

function frameHead(length: number, maskBit: number, options: FrameOptions): Buffer {
  const { opcode = OPCODE.text, isFinal = true, reserved = 0 } = options;
  const head = Buffer.alloc(length < 126 ? 2 : length < 65_536 ? 4 : 10);
  head[0] = (isFinal ? 0x80 : 0) | (reserved << 4) | opcode;
  head[1] = maskBit | (length < 126 ? length : length < 65_536 ? 126 : 127);
  if (head.length === 4) head.writeUInt16BE(length, 2);
  if (head.length === 10) head.writeBigUInt64BE(BigInt(length), 2);
  return head;
}

export function closePayload(code: number, reason = ""): Buffer {
  const payload = Buffer.alloc(2 + Buffer.byteLength(reason));
  payload.writeUInt16BE(code);
  payload.write(reason, 2);
  return payload;
}

/** What a close frame of a server says. */
export function readClose(bytes: Buffer): { code: number; reason: string } {
  assert.equal(bytes[0], 0x88, `no close frame: ${bytes.toString("hex")}`);
  assert.equal(bytes[1]! + 2, bytes.length, "bytes behind the close frame");
  return { code: bytes.readUInt16BE(2), reason: bytes.toString("utf8", 4) };
}

/** The same of a client's (masked) close frame. */
export function readMaskedClose(bytes: Buffer): { code: number; reason: string } {
  assert.equal(bytes[1]! & 0x80, 0x80, "not masked");
  const payload = bytes.subarray(6).map((byte, at) => byte ^ bytes[2 + (at & 3)]!);
  return readClose(Buffer.concat([Buffer.of(bytes[0]!, bytes[1]! & 0x7f), payload]));
}

export { TOWARDS };

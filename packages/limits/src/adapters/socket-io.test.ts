import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { type AddressInfo } from "node:net";
import { describe, test } from "node:test";
import { Server, type Socket } from "socket.io";
import { io as dial, type Socket as Client } from "socket.io-client";
import { manualClock, systemRandom, type ManualClock, type Random } from "@tidegate/clock";
import { waitFor } from "@tidegate/testkit";
import {
  byAddress,
  socketIoLimits,
  type EventLimit,
  type Refusal,
  type SocketIoLimitsOptions,
} from "./socket-io.ts";

const noJitter: Random = { ...systemRandom, unit: () => 0 };

const two = (more: object = {}): EventLimit<Socket> => ({
  kind: "window",
  name: "two",
  limit: 2,
  seconds: 60,
  key: "connection",
  exceed: "drop",
  ...more,
});
const STRANGE = ["__proto__", "constructor", "x".repeat(10_000), "toString"];
const NAMES = ["post", "reply", "typing", "put", ...STRANGE];
const joins = { kind: "window", name: "joins", limit: 1, seconds: 60, key: byAddress } as const;
const oneSocket = {
  kind: "concurrency",
  name: "sockets",
  limit: 1,
  expireSeconds: 10,
  key: byAddress,
} as const;

interface Opened extends AsyncDisposable {
  readonly clock: ManualClock;
  readonly io: Server;
  /** Events that reached a listener. */
  readonly got: unknown[][];
  readonly refused: (readonly [Refusal, string | undefined])[];
  readonly faults: unknown[];
  dial(options?: object): Client;
}

async function open(
  options: SocketIoLimitsOptions<Socket>,
  prepare: (io: Server) => void = () => {},
): Promise<Opened> {
  const clock = manualClock(5_000);
  const [got, refused, faults] = [
    [] as unknown[][],
    [] as Opened["refused"][number][],
    [] as unknown[],
  ];
  const server = createServer();
  const io = new Server(server);
  prepare(io);
  io.use(
    socketIoLimits<Socket>({
      clock,
      random: noJitter,
      observe: (refusal, _, event) => refused.push([refusal, event]),
      observeFault: (error) => faults.push(error),
      ...options,
    }),
  );
  io.on("connection", (socket) => {
    for (const name of NAMES) {
      socket.on(name, (...args) => {
        got.push([name, ...args.filter((part) => typeof part !== "function")]);
        const acknowledge = args.at(-1);
        if (typeof acknowledge === "function") acknowledge("done");
      });
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const clients: Client[] = [];
  return {
    clock,
    io,
    got,
    refused,
    faults,
    dial(more = {}) {
      const client = dial(`http://127.0.0.1:${port}`, {
        transports: ["websocket"],
        reconnection: false,
        forceNew: true,
        ...more,
      });
      clients.push(client);
      return client;
    },
    async [Symbol.asyncDispose]() {
      for (const client of clients) client.disconnect();
      await io.close();
    },
  };
}

const joined = (client: Client): Promise<void> =>
  new Promise((resolve, reject) => {
    client.once("connect", resolve);
    client.once("connect_error", reject);
  });
const refusedJoin = (client: Client): Promise<Error & { data?: unknown }> =>
  new Promise((resolve, reject) => {
    client.once("connect", () => reject(new Error("it joined")));
    client.once("connect_error", resolve);
  });

describe("socketIoLimits() and hostile callers", () => {
  test("does not believe X-Forwarded-For, and refuses as `connect_error` with data", async () => {
    await using on = await open({ connections: [joins] });
    await joined(on.dial({ extraHeaders: { "x-forwarded-for": "198.51.100.1" } }));
    const error = await refusedJoin(
      on.dial({ extraHeaders: { "x-forwarded-for": "198.51.100.2" } }),
    );
    assert.equal(error.message, "quota-exceeded");
    assert.deepEqual(error.data, {
      status: 429,
      violatedPolicies: ["joins"],
      retryAfterSeconds: 60,
    });
    assert.deepEqual(on.refused, [
      [{ isImpossible: false, violated: ["joins"], retryAfterSeconds: 60 }, undefined],
    ]);
  });

  test("limits joins over polling too", async () => {
    await using on = await open({ connections: [joins] });
    await joined(on.dial({ transports: ["polling"] }));
    await refusedJoin(on.dial({ transports: ["polling"] }));
  });

  test("names of events that nobody foresaw are one class", async () => {
    await using on = await open({ events: [two()] });
    const client = on.dial();
    await joined(client);
    for (const name of STRANGE) client.emit(name);
    await waitFor(() => on.refused.length === 2, { what: "two refusals" });
    assert.equal(on.got.length, 2);
  });

  test("refuses what a cost function cannot read, and lives on", async () => {
    const cost = (args: readonly unknown[]): number => (args[0] as { size: number }).size;
    await using on = await open({ events: [two({ cost })] });
    const client = on.dial();
    await joined(client);
    client.emit("put");
    client.emit("put", { size: -100 });
    client.emit("put", { size: "many" });
    client.emit("put", { size: 2 });
    client.emit("put", { size: 1 });
    await waitFor(() => on.refused.length === 1, { what: "the refusal" });
    assert.deepEqual(on.got, [["put", { size: 2 }]]);
    assert.equal(on.faults.length, 3);
  });

  test("a key function that throws refuses the connection, not the process", async () => {
    await using on = await open({
      connections: [
        {
          ...joins,
          key: () => {
            throw new Error("database password wrong");
          },
        },
      ],
    });
    assert.equal((await refusedJoin(on.dial())).message, "limits-failed");
    assert.equal(on.faults.length, 1);
  });

  test("one who floods and does not read is answered no more than a bounded number of times", async () => {
    const { guardEvents } = await import("./event-guard.ts");
    const { EventGate } = await import("./event-gate.ts");
    const clock = manualClock(0);
    const gate = new EventGate({ limits: [two({ limit: 1 })], clock, random: noJitter });
    const middlewares: ((packet: unknown[], next: () => void) => void)[] = [];
    const drains: (() => void)[] = [];
    const socket = {
      id: "a",
      data: {},
      handshake: { address: "192.0.2.1", headers: {} },
      conn: {
        on: (_: string, listener: () => void) => drains.push(listener),
        once: () => {},
        removeListener: () => {},
      },
      use: (middleware: (typeof middlewares)[number]) => middlewares.push(middleware),
      once: () => {},
      disconnect: () => {},
    };
    guardEvents(socket as never, { gate, observe: () => {}, observeFault: () => {} });
    let answers = 0;
    const flood = (): void => {
      for (let i = 0; i < 1_000; i++) middlewares[0]!(["post", () => answers++], () => {});
    };
    flood();
    assert.equal(answers, 64);
    for (const drain of drains) drain();
    flood();
    assert.equal(answers, 128);
  });

  test("frees the slot of a client that vanishes, and keeps it past its expiry while it stays", async () => {
    await using on = await open({ connections: [oneSocket] });
    const first = on.dial();
    await joined(first);
    for (let i = 0; i < 60; i++) on.clock.advance(1_000);
    await refusedJoin(on.dial());
    first.io.engine.close();
    await waitFor(async () => joined(on.dial()).then(() => true), { what: "the slot" });
  });

  test("frees the slot of a socket that leaves while its connection stays for another namespace", async () => {
    await using on = await open({ connections: [oneSocket] });
    on.io.of("/other").on("connection", () => {});
    const first = on.dial();
    await joined(first);
    const other = first.io.socket("/other");
    await joined(other);
    first.disconnect();
    await waitFor(async () => joined(on.dial()).then(() => true), { what: "the slot" });
    assert.equal(other.connected, true);
  });

  test("frees the slot of a socket that a later middleware refused, when its connection ends", async () => {
    let isOpen = false;
    await using on = await open({ connections: [oneSocket] });
    on.io.use((_, next) => next(isOpen ? undefined : new Error("later")));
    const client = on.dial();
    assert.equal((await refusedJoin(client)).message, "later");
    isOpen = true;
    client.io.engine.close();
    await waitFor(async () => joined(on.dial()).then(() => true), { what: "the slot" });
  });
});

describe("socketIoLimits() on events", () => {
  test("drop answers the acknowledgement with the error, and no listener gets the event", async () => {
    await using on = await open({ events: [two()] });
    const client = on.dial();
    await joined(client);
    const errors: Error[] = [];
    for (const socket of on.io.sockets.sockets.values()) {
      socket.on("error", (error: Error) => errors.push(error));
    }
    assert.equal(await client.emitWithAck("post", 1), "done");
    assert.equal(await client.emitWithAck("post", 2), "done");
    assert.deepEqual(await client.emitWithAck("post", 3), {
      error: {
        message: "quota-exceeded",
        status: 429,
        violatedPolicies: ["two"],
        retryAfterSeconds: 60,
      },
    });
    on.clock.advance(60_000);
    assert.equal(await client.emitWithAck("post", 4), "done");
    assert.deepEqual(on.got, [
      ["post", 1],
      ["post", 2],
      ["post", 4],
    ]);
    assert.deepEqual(
      errors.map((error) => [error.name, error.message]),
      [["LimitError", "quota-exceeded"]],
    );
  });

  test("classes of events have budgets of their own, and all limits that ask are charged or none", async () => {
    await using on = await open({
      events: [two({ name: "posts", events: ["post", "reply"] }), two({ name: "all", limit: 4 })],
    });
    const client = on.dial();
    await joined(client);
    for (const name of ["post", "reply", "post", "reply", "typing", "typing", "typing"]) {
      client.emit(name);
    }
    await waitFor(() => on.refused.length === 3, { what: "three refusals" });
    assert.deepEqual(on.got.flat(), ["post", "reply", "typing", "typing"]);
    assert.deepEqual(
      on.refused.map(([{ violated }, event]) => [event, ...violated]),
      [
        ["post", "posts"],
        ["reply", "posts"],
        ["typing", "all"],
      ],
    );
  });

  test("one user over many sockets has one budget, said by middleware before", async () => {
    const key = (socket: Socket): string => String(socket.data.user);
    await using on = await open({ events: [two({ key })] }, (io) =>
      io.use((socket, next) => {
        socket.data = { user: socket.handshake.auth["user"] };
        next();
      }),
    );
    for (const user of ["ada", "ada", "ada", "grace"]) {
      const client = on.dial({ auth: { user } });
      await joined(client);
      client.emit("post", user);
    }
    await waitFor(() => on.refused.length === 1 && on.got.length === 3, { what: "all four" });
    assert.deepEqual(on.got.at(-1), ["post", "grace"]);
  });

  test("disconnect ends the connection, and the client stays away", async () => {
    await using on = await open({ events: [two({ exceed: "disconnect" })] });
    const client = on.dial({ reconnection: true });
    await joined(client);
    const reason = new Promise((resolve) => client.once("disconnect", resolve));
    for (let i = 0; i < 5; i++) client.emit("post", i);
    assert.equal(await reason, "io server disconnect");
    assert.deepEqual(on.got, [
      ["post", 0],
      ["post", 1],
    ]);
    assert.equal(on.refused.length, 1);
    assert.equal(client.active, false);
  });

  test("refuses to start with limits that cannot be honoured", () => {
    assert.throws(() => socketIoLimits({ events: [two({ limit: 0 })] as never }), /limit is 0/);
    assert.throws(
      () => socketIoLimits({ connections: [joins, { ...joins }] }),
      /names must differ/,
    );
  });
});

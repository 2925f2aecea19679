import { createClient } from "@redis/client";

// The one file of the gateway that knows the client. It enters as these few methods.

/** One connection that heals itself. Commands are never queued while it is away and never sent twice. */
export interface RedisConnection extends AsyncDisposable {
  /** @throws the server's error reply, or that of a connection that is not there; then nothing is known of what was done */
  command(args: readonly string[]): Promise<unknown>;
  /** Ends this connection and begins another, for a server that takes commands and never answers. */
  reset(): void;
}

export interface RedisConnectionOptions {
  /** Such as `rediss://user:secret@redis.example:6379/0`. */
  readonly url: string;
  /** A new connection is ready. */
  readonly connected?: () => void;
  /** A number in [0, 1), so that many nodes do not come back in the same instant. */
  readonly jitter: () => number;
}

/** Commands that wait for a reply; more fail at once. Strikes are rare; so many would be an attack in itself. */
const MOST_COMMANDS_UNDER_WAY = 1_024;
const CONNECT_TIMEOUT_MS = 2_000;
const FIRST_RECONNECT_MS = 50;
const LONGEST_RECONNECT_MS = 1_000;

/** Begins to connect, and keeps trying for as long as it lives. */
export function connectRedis(options: RedisConnectionOptions): RedisConnection {
  let current: ReturnType<typeof open> | undefined;
  let isClosed = false;
  const open = () => {
    const client = createClient({
      url: options.url,
      RESP: 2,
      disableOfflineQueue: true,
      commandsQueueMaxLength: MOST_COMMANDS_UNDER_WAY,
      // Only ever one server; and every command has a budget of its own.
      maintNotifications: "disabled",
      commandOptions: { timeout: 0 },
      disableClientInfo: true,
      socket: {
        connectTimeout: CONNECT_TIMEOUT_MS,
        reconnectStrategy: (retries) =>
          Math.min(FIRST_RECONNECT_MS * 2 ** Math.min(retries, 10), LONGEST_RECONNECT_MS) *
          (0.5 + options.jitter() / 2),
      },
    });
    client.on("ready", () => {
      if (client === current && !isClosed) options.connected?.();
    });
    // Whoever waits for a command is told there; without a listener the process would end.
    client.on("error", () => undefined);
    // It goes on trying by itself; a failed try is an `error` event.
    client.connect().catch(() => undefined);
    return client;
  };
  const close = (): void => {
    const client = current;
    current = undefined;
    if (client?.isOpen === true) client.destroy();
  };
  current = open();
  return {
    command(args) {
      if (current?.isReady !== true)
        return Promise.reject(new Error("Cannot ask Redis: not connected"));
      return current.sendCommand([...args]);
    },
    reset() {
      if (isClosed) return;
      close();
      current = open();
    },
    async [Symbol.asyncDispose]() {
      isClosed = true;
      close();
    },
  };
}

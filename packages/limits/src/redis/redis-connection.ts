import { createClient } from "@redis/client";

// The one file that knows the client. It enters as these few methods.

/** One connection that heals itself. Commands are never queued while it is away and never sent twice. */
export interface RedisConnection extends AsyncDisposable {
  /** @throws the server's error reply, or that of a connection that is not there; then nothing is known of what was done */
  command(args: readonly string[]): Promise<unknown>;
  /** Ends this connection and begins another, for a server that takes commands and never answers. */
  reset(): void;
}

export interface RedisConnectionEvents {
  /** A new connection is ready. Nothing but what this returns is sent before the promise settles. */
  connected?(): void;
  lost?(error: Error | undefined): void;
}

/** Commands that wait for a reply unless told otherwise; more fail at once. At 50 ms a reply and 100,000 commands a second some 5,000 are under way. */
const MOST_COMMANDS_UNDER_WAY = 8_192;
const CONNECT_TIMEOUT_MS = 2_000;
const FIRST_RECONNECT_MS = 50;
const LONGEST_RECONNECT_MS = 1_000;

/**
 * Begins to connect, and keeps trying for as long as it lives.
 * @param options.url such as `rediss://user:secret@redis.example:6379/0`
 * @param options.jitter a number in [0, 1), so that many nodes do not come back in the same instant
 */
export function connectRedis(options: {
  readonly url: string;
  readonly events?: RedisConnectionEvents;
  readonly jitter: () => number;
  readonly mostCommandsUnderWay?: number;
}): RedisConnection {
  const { events = {}, mostCommandsUnderWay = MOST_COMMANDS_UNDER_WAY } = options;
  let isReady = false;
  let isClosed = false;
  const open = () => {
    const client = createClient({
      url: options.url,
      RESP: 2,
      disableOfflineQueue: true,
      commandsQueueMaxLength: mostCommandsUnderWay,
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
    const isCurrent = (): boolean => client === current && !isClosed;
    const lose = (error: Error | undefined): void => {
      if (!isCurrent() || !isReady) return;
      isReady = false;
      events.lost?.(error);
    };
    client.on("ready", () => {
      if (!isCurrent()) return;
      isReady = true;
      events.connected?.();
    });
    client.on("error", (error: Error) => lose(error));
    client.on("reconnecting", () => lose(undefined));
    client.on("end", () => lose(undefined));
    // It goes on trying by itself; a failed try is an `error` event.
    client.connect().catch(() => undefined);
    return client;
  };
  let current: ReturnType<typeof open> | undefined;
  current = open();

  const close = (): void => {
    const client = current;
    current = undefined;
    isReady = false;
    if (client?.isOpen === true) client.destroy();
  };
  return {
    command(args) {
      if (!isReady || current === undefined)
        return Promise.reject(new Error("Cannot ask Redis: not connected"));
      return current.sendCommand(args);
    },
    reset() {
      if (isClosed) return;
      const wasReady = isReady;
      close();
      if (wasReady) events.lost?.(new Error("Redis did not answer"));
      current = open();
    },
    async [Symbol.asyncDispose]() {
      isClosed = true;
      close();
    },
  };
}

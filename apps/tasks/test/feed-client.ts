import { waitFor } from "@tidegate/testkit";
import { WebSocket } from "ws";
import type { ServerMessage } from "../src/feed-message.ts";
import type { TasksUnderTest } from "./tasks-under-test.ts";

/** A client of the live feed that keeps all it hears. */
export interface FeedClient extends Disposable {
  readonly socket: WebSocket;
  readonly messages: ServerMessage[];
  readonly closed: { code: number; reason: string } | undefined;
  /** Waits until `count` messages have come, and answers all of them. */
  heard(count: number): Promise<ServerMessage[]>;
  ended(): Promise<{ code: number; reason: string }>;
}

/** Connects as `person`. @throws {Error} with the status when the handshake is refused */
export async function feedClient(
  tasks: TasksUnderTest,
  person: string,
  query = "",
): Promise<FeedClient> {
  const url = `${tasks.server.url.replace("http", "ws")}/tasks/live${query}`;
  const headers = { "tidegate-assertion": tasks.gateway.assertion(person) };
  const socket = new WebSocket(url, { headers });
  const messages: ServerMessage[] = [];
  const client = {
    socket,
    messages,
    closed: undefined as { code: number; reason: string } | undefined,
    heard: async (count: number) => {
      await waitFor(() => messages.length >= count, {
        what: `${count} messages, after ${JSON.stringify(messages)}`,
      });
      return messages;
    },
    ended: () => waitFor(() => client.closed, { what: "the end of the feed" }),
    [Symbol.dispose]: () => socket.terminate(),
  };
  socket.on("message", (data: Buffer) =>
    messages.push(JSON.parse(data.toString()) as ServerMessage),
  );
  socket.on("close", (code, reason) => {
    client.closed = { code, reason: String(reason) };
  });
  await new Promise<void>((resolve, reject) => {
    socket.once("open", () => resolve());
    socket.once("error", reject);
  });
  return client;
}

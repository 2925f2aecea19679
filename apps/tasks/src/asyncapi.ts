import type { Json } from "@tidegate/service-kit";
import {
  CLIENT_MESSAGE_MEANINGS,
  CLIENT_MESSAGES,
  SERVER_MESSAGE_MEANINGS,
  SERVER_MESSAGES,
} from "./feed-message.ts";

/** The AsyncAPI 3.0 document of the live feed, made from the schemas that messages are built and judged by. */
export function asyncApiDocument(options: {
  readonly publicUrl: string;
  readonly version: string;
}): Json {
  const url = new URL(options.publicUrl);
  const names = [...Object.keys(SERVER_MESSAGES), ...Object.keys(CLIENT_MESSAGES)];
  return {
    asyncapi: "3.0.0",
    info: {
      title: "Tasks: live feed",
      version: options.version,
      description:
        "What changed in a person's tasks, as it happens. After a loss of connection, come back with `since` and nothing is missed.",
    },
    defaultContentType: "application/json",
    servers: {
      gateway: { host: url.host, protocol: url.protocol === "https:" ? "wss" : "ws" },
    },
    channels: {
      live: {
        address: "/tasks/live",
        description: CLOSE_CODES,
        messages: Object.fromEntries(
          names.map((name) => [name, { $ref: `#/components/messages/${name}` }]),
        ),
        bindings: {
          ws: {
            method: "GET",
            query: {
              type: "object",
              properties: {
                since: {
                  type: "integer",
                  minimum: 0,
                  description: "The highest sequence seen; without it the feed begins now.",
                },
              },
              additionalProperties: false,
            },
          },
        },
      },
    },
    operations: {
      tell: operation("send", SERVER_MESSAGES, "What the service tells."),
      listen: operation("receive", CLIENT_MESSAGES, "What the service takes."),
    },
    components: {
      messages: {
        ...messages(SERVER_MESSAGES, SERVER_MESSAGE_MEANINGS),
        ...messages(CLIENT_MESSAGES, CLIENT_MESSAGE_MEANINGS),
      },
    },
  };
}

const CLOSE_CODES =
  "Text messages only, at most 4096 bytes from a client. Closes with 4400 (broke this contract: fix the client), " +
  "1009 (message too big), 4429 (too many messages: wait), 4503 (read too slowly: reconnect), 4512 (restarting: reconnect).";

function operation(action: "send" | "receive", table: object, summary: string): Json {
  return {
    action,
    summary,
    channel: { $ref: "#/channels/live" },
    messages: Object.keys(table).map((name) => ({ $ref: `#/channels/live/messages/${name}` })),
  };
}

function messages(
  table: Readonly<Record<string, object>>,
  meanings: Readonly<Record<string, string>>,
): Json {
  return Object.fromEntries(
    Object.entries(table).map(([name, payload]) => [
      name,
      { name, summary: meanings[name], payload },
    ]),
  );
}

import assert from "node:assert/strict";
import { createAssertionVerifier } from "@tidegate/auth";
import { systemClock, systemRandom, type Clock } from "@tidegate/clock";
import { createLogger } from "@tidegate/service-kit";
import { tempFolder } from "@tidegate/testkit";
import { startTasks, type TasksServer } from "../src/index.ts";
import { gatewayStandIn, type GatewayStandIn } from "./gateway-stand-in.ts";

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** The body read as JSON; undefined when there is none. */
  // oxlint-disable-next-line typescript/no-explicit-any -- tests look into answers of every shape
  readonly body: any;
}

export interface CallOptions {
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as JSON; a string or bytes as they are. */
  readonly body?: unknown;
}

/** The real server on a free port, behind a stand-in for the gateway. */
export interface TasksUnderTest extends AsyncDisposable {
  readonly server: TasksServer;
  readonly gateway: GatewayStandIn;
  readonly databaseFile: string;
  /** Lines of the log so far. */
  readonly log: readonly string[];
  /** Calls as `person`; with "" without an assertion. */
  call(person: string, target: string, options?: CallOptions): Promise<Answer>;
  /** Creates a task and answers it with its entity tag. */
  // oxlint-disable-next-line typescript/no-explicit-any -- as above
  create(person: string, input: object): Promise<{ readonly task: any; readonly etag: string }>;
}

export async function tasksUnderTest(
  options: {
    readonly maxTasksPerPerson?: number;
    readonly clock?: Clock;
    readonly gatewayIsDown?: boolean;
  } = {},
): Promise<TasksUnderTest> {
  const stack = new AsyncDisposableStack();
  const folder = stack.use(await tempFolder());
  const gateway = stack.use(await gatewayStandIn());
  gateway.isUp = options.gatewayIsDown !== true;
  const log: string[] = [];
  const clock = options.clock ?? systemClock;
  const databaseFile = folder.file("tasks.sqlite");
  const server = stack.use(
    await startTasks({
      host: "127.0.0.1",
      port: 0,
      databaseFile,
      maxTasksPerPerson: options.maxTasksPerPerson ?? 10_000,
      publicUrl: gateway.url,
      verifier: createAssertionVerifier({
        issuer: gateway.url,
        audience: "tasks",
        jwksUrl: gateway.jwksUrl,
        clock,
      }),
      clock,
      random: systemRandom,
      logger: createLogger({
        service: "tasks",
        level: "debug",
        destination: { write: (line: string) => void log.push(line) },
      }),
    }),
  );

  const call = async (person: string, target: string, sent: CallOptions = {}): Promise<Answer> => {
    const [method = "GET", path = "/"] = target.split(" ");
    const isRaw = typeof sent.body === "string" || sent.body instanceof Uint8Array;
    const type = method === "PATCH" ? "application/merge-patch+json" : "application/json";
    const response = await fetch(new URL(path, server.url), {
      method,
      headers: {
        ...(person !== "" && { "tidegate-assertion": gateway.assertion(person) }),
        ...(sent.body !== undefined && { "content-type": type }),
        ...sent.headers,
      },
      ...(sent.body !== undefined && {
        body: isRaw ? (sent.body as string) : JSON.stringify(sent.body),
      }),
    });
    const text = await response.text();
    const isJson = /json/.test(response.headers.get("content-type") ?? "");
    return {
      status: response.status,
      headers: response.headers,
      text,
      body: isJson && text !== "" ? JSON.parse(text) : undefined,
    };
  };

  return {
    server,
    gateway,
    databaseFile,
    log,
    call,
    async create(person, input) {
      const answer = await call(person, "POST /tasks", { body: input });
      assert.equal(answer.status, 201, answer.text);
      return { task: answer.body, etag: answer.headers.get("etag") ?? "" };
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

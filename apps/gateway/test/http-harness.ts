// The whole gateway in this process, with its log in a file, and a client that writes bytes by hand.

import assert from "node:assert/strict";
import type { Worker } from "node:worker_threads";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { systemClock, type Clock } from "@tidegate/clock";
import {
  rawConnection,
  readAnswer,
  tempFolder,
  waitFor,
  type RawAnswer,
  type RawConnection,
} from "@tidegate/testkit";
import { validateConfig } from "../src/config/load-config.ts";
import type { GatewayConfigInput } from "../src/config/schema.ts";
import { createGateway, type Gateway } from "../src/gateway.ts";

type Route = GatewayConfigInput["routes"][number];
type Upstream = NonNullable<GatewayConfigInput["upstreams"]>[string];

export interface GatewayOptions {
  /** Where `service` is. */
  readonly targets: readonly string[];
  readonly upstream?: Partial<Upstream>;
  /** Others beside `service`, for routes that name them in `to`. */
  readonly moreUpstreams?: GatewayConfigInput["upstreams"];
  /** Default: everything goes to `service`, without a credential. */
  readonly routes?: readonly (Partial<Route> & Pick<Route, "path">)[];
  readonly listen?: GatewayConfigInput["listen"];
  readonly limits?: GatewayConfigInput["limits"];
  readonly identity?: GatewayConfigInput["identity"];
  readonly sessions?: GatewayConfigInput["sessions"];
  readonly penalty?: GatewayConfigInput["penalty"];
  readonly revocation?: GatewayConfigInput["revocation"];
  readonly limitStore?: GatewayConfigInput["limitStore"];
  readonly drainTimeoutMs?: number;
  /** The least that is logged; default: information. */
  readonly logLevel?: NonNullable<GatewayConfigInput["record"]>["level"];
  /** Default: everything on this thread. */
  readonly threads?: number;
  /** Default: one of its own, gone with the gateway. */
  readonly dataFolder?: string;
  readonly clock?: Clock;
}

export interface GatewayUnderTest extends AsyncDisposable {
  readonly gateway: Gateway;
  readonly port: number;
  readonly url: string;
  readonly adminUrl: string;
  readonly dataFolder: string;
  adminToken(): Promise<string>;
  /** The worker threads that run now; empty when everything runs on this one. */
  readonly threads: readonly (Worker | undefined)[];
  connect(): Promise<RawConnection>;
  /** One connection, these bytes, one answer. */
  ask(bytes: string, options?: { readonly method?: string }): Promise<RawAnswer>;
  /** Log lines of an event, parsed; the log is read again each time. */
  logged(event: string): Promise<Record<string, unknown>[]>;
  /** All that was logged, as it was written. */
  logText(): Promise<string>;
  /** Waits until so many lines of an event are there. */
  loggedAtLeast(event: string, count: number): Promise<Record<string, unknown>[]>;
}

export async function startGateway(options: GatewayOptions): Promise<GatewayUnderTest> {
  const folder = await tempFolder();
  const { config } = validateConfig(
    {
      listen: { port: 0, ...options.listen },
      admin: { port: 0 },
      threads: options.threads ?? 0,
      dataFolder: options.dataFolder ?? folder.file("data"),
      identity: options.identity ?? {},
      sessions: options.sessions ?? {},
      penalty: options.penalty,
      revocation: options.revocation,
      limitStore: options.limitStore,
      upstreams: {
        service: { targets: [...options.targets], ...options.upstream },
        ...options.moreUpstreams,
      },
      limits: options.limits ?? [],
      routes: (options.routes ?? [{ path: "/**" }]).map((route) => ({
        to: "service",
        auth: "none" as const,
        ...route,
      })),
      record: {
        destination: folder.file("log"),
        ...(options.logLevel === undefined ? {} : { level: options.logLevel }),
      },
      shutdown: { drainTimeoutMs: options.drainTimeoutMs ?? 100 },
    } satisfies GatewayConfigInput,
    { folder: folder.path },
  );
  const threads: (Worker | undefined)[] = [];
  const gateway = createGateway(config, {
    ...(options.clock === undefined ? {} : { clock: options.clock }),
    observeThread: (thread, worker) => (threads[worker] = thread),
  });
  const { port, url, adminUrl } = await gateway.start();
  const logText = (): Promise<string> => readFile(folder.file("log"), "utf8").catch(() => "");
  const logged = async (event: string): Promise<Record<string, unknown>[]> => {
    const text = await logText();
    const lines = text.split("\n").filter((line) => line !== "");
    return lines
      .map((line) => JSON.parse(line) as Record<string, unknown>)
      .filter((line) => line["event"] === event);
  };
  return {
    gateway,
    port,
    url,
    adminUrl,
    dataFolder: config.dataFolder,
    adminToken: async () => (await readFile(join(config.dataFolder, "admin-token"), "utf8")).trim(),
    threads,
    connect: () => rawConnection(port),
    async ask(bytes, { method } = {}) {
      await using client = await rawConnection(port);
      await client.write(bytes);
      return await readAnswer(client, method === undefined ? {} : { method });
    },
    logged,
    logText,
    loggedAtLeast: (event, count) =>
      waitFor(
        async () => {
          const lines = await logged(event);
          return lines.length >= count ? lines : undefined;
        },
        { what: `${count} log lines of ${event}` },
      ),
    async [Symbol.asyncDispose]() {
      await gateway[Symbol.asyncDispose]();
      await folder[Symbol.asyncDispose]();
    },
  };
}

/** Time that runs `factor` times as fast, for waits that are longer than a test should be. */
export const fastClock = (factor: number): Clock => ({
  ...systemClock,
  monotonicMs: () => systemClock.monotonicMs() * factor,
  after: (delayMs, task) => systemClock.after(delayMs / factor, task),
});

/** A request as bytes. `fields` as they go on the wire; Host is added unless one is there. */
export function requestBytes(
  requestLine: string,
  fields: readonly string[] = [],
  body: string | Buffer = "",
): string {
  const hasHost = fields.some((field) => /^host:/i.test(field));
  const lines = [requestLine, ...(hasHost ? [] : ["Host: localhost"]), ...fields];
  return `${lines.join("\r\n")}\r\n\r\n${body.toString("latin1")}`;
}

export const get = (path: string, fields: readonly string[] = []): string =>
  requestBytes(`GET ${path} HTTP/1.1`, fields);

/** The problem document of a refusal, after its outer form was checked. */
export function readProblem(answer: RawAnswer): Record<string, unknown> & { type: string } {
  assert.equal(answer.field("content-type"), "application/problem+json");
  assert.equal(answer.field("cache-control"), "no-store");
  const problem = JSON.parse(answer.body.toString()) as Record<string, unknown> & { type: string };
  assert.equal(problem["status"], answer.status);
  assert.match(String(problem["instance"]), /^urn:tidegate:request:/);
  return problem;
}

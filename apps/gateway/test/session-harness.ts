// A gateway with people who sign in by their browser at a provider that is not ours.

import assert from "node:assert/strict";
import { once } from "node:events";
import { freePort, startUpstream, type Upstream } from "@tidegate/testkit";
import { systemClock, type Clock } from "@tidegate/clock";
import { WebSocket as WsClient } from "ws";
import { startGateway, type GatewayUnderTest } from "./http-harness.ts";
import { openProvider, RESOURCE, type OpenProvider } from "./open-provider.ts";
import { TestBrowser, type BrowserAnswer, type BrowserRequest } from "./test-browser.ts";

export interface SessionSetUp extends AsyncDisposable {
  readonly gateway: GatewayUnderTest;
  readonly provider: OpenProvider;
  readonly upstream: Upstream;
  /** Our own origin. */
  readonly url: string;
  /** A browser in which somebody has signed in. */
  signedIn(who: string, browser?: TestBrowser): Promise<TestBrowser>;
  /** As a script of a page of ours. */
  call(browser: TestBrowser, path: string, options?: BrowserRequest): Promise<BrowserAnswer>;
  /** `GET /.tidegate/session`. */
  session(browser: TestBrowser): Promise<Record<string, unknown>>;
  /** Ends the gateway and starts another one over the same data. */
  restart(): Promise<void>;
}

type Config = Parameters<typeof startGateway>[0];

export const SESSION = "__Host-tidegate";
export const FLOW = "__Host-tidegate-flow";

export async function setUpSessions(
  options: {
    readonly threads?: number;
    readonly sessions?: Config["sessions"];
    readonly accessTokenSeconds?: number;
    readonly issuesRefreshTokens?: boolean;
    readonly namesPeople?: boolean;
    /** `none`: a provider that does not say when somebody signed in. */
    readonly authTimeFrom?: "none";
    readonly routes?: Config["routes"];
    readonly penalty?: Config["penalty"];
    readonly clock?: Clock;
    readonly dataFolder?: string;
  } = {},
): Promise<SessionSetUp> {
  await using parts = new AsyncDisposableStack();
  const upstream = parts.use(await startUpstream());
  const port = await freePort();
  const url = `http://localhost:${port}`;
  const provider = parts.use(
    await openProvider({
      redirectUris: [`${url}/.tidegate/callback`],
      signedOutUri: `${url}/.tidegate/signed-out`,
      ...(options.accessTokenSeconds === undefined
        ? {}
        : { accessTokenSeconds: options.accessTokenSeconds }),
      ...(options.issuesRefreshTokens === undefined
        ? {}
        : { issuesRefreshTokens: options.issuesRefreshTokens }),
      ...(options.namesPeople === undefined ? {} : { namesPeople: options.namesPeople }),
    }),
  );
  const config: Config = {
    targets: [upstream.url],
    threads: options.threads ?? 0,
    listen: { port, publicUrl: url },
    ...(options.penalty === undefined ? {} : { penalty: options.penalty }),
    ...(options.clock === undefined ? {} : { clock: options.clock }),
    ...(options.dataFolder === undefined ? {} : { dataFolder: options.dataFolder }),
    ...(options.sessions === undefined ? {} : { sessions: options.sessions }),
    identity: {
      people: {
        kind: "oidc",
        issuer: provider.url,
        audience: RESOURCE,
        client: { id: "gateway", secret: "a secret of at least thirty-two characters" },
        ...(options.authTimeFrom === undefined ? {} : { authTimeFrom: options.authTimeFrom }),
        browser: {
          scopes: ["openid", "profile", "offline_access", "tasks:read", "tasks:write"],
        },
      },
    },
    routes: options.routes ?? [
      { path: "/tasks/**", auth: { by: ["people"], scopes: ["tasks:read"] } },
      { path: "/pay", auth: { by: ["people"], acr: ["phr"], maxAgeSeconds: 300 } },
      { path: "/page", auth: { by: ["people"] }, navigable: true },
      { path: "/live", auth: { by: ["people"] }, websocket: {} },
      { path: "/open", navigable: true },
    ],
  };
  let gateway = await startGateway(config);
  parts.defer(() => gateway[Symbol.asyncDispose]());
  const owned = parts.move();
  const call: SessionSetUp["call"] = (browser, path, { headers, ...rest } = {}) =>
    browser.open(`${url}${path}`, {
      isNavigation: false,
      site: "same-origin",
      headers: {
        ...(rest.method === undefined ? {} : { origin: url, "tidegate-csrf": "1" }),
        ...headers,
      },
      ...rest,
    });
  return {
    get gateway() {
      return gateway;
    },
    provider,
    upstream,
    url,
    async signedIn(who, browser = new TestBrowser()) {
      const answer = await browser.go(`${url}/.tidegate/sign-in?returnTo=/open`, { as: who });
      assert.equal(answer.url.href, `${url}/open`, answer.body);
      assert.equal(answer.status, 200, answer.body);
      assert.notEqual(browser.cookie("localhost", SESSION), undefined);
      return browser;
    },
    call,
    async session(browser) {
      const answer = await call(browser, "/.tidegate/session");
      assert.equal(answer.status, 200, answer.body);
      return JSON.parse(answer.body) as Record<string, unknown>;
    },
    async restart() {
      await gateway.gateway.stop("test");
      gateway = await startGateway({ ...config, dataFolder: gateway.dataFolder });
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** The machine's time, which the test sets forward by hand. */
export function shiftedClock(): Clock & { shiftMs: number } {
  const clock = {
    ...systemClock,
    shiftMs: 0,
    wallMs: () => systemClock.wallMs() + clock.shiftMs,
  };
  return clock;
}

/** Stops where the provider sends the browser back. */
export async function untilCallback(
  t: SessionSetUp,
  browser: TestBrowser,
  { as = "ada", path = "/.tidegate/sign-in?returnTo=/open" } = {},
): Promise<URL> {
  const stops = ({ pathname }: URL): boolean => pathname.startsWith("/.tidegate/callback");
  const answer = await browser.go(`${t.url}${path}`, { as, stops });
  assert.ok(answer.location !== undefined, answer.body);
  return answer.location;
}

/** A page of ours that says why, leads nowhere by itself, and signs nobody in. */
export function assertPage(answer: BrowserAnswer, status: number, text: RegExp): void {
  assert.equal(answer.status, status, answer.body);
  assert.match(answer.body, text);
  assert.equal(answer.location, undefined);
  assert.match(String(answer.headers["content-security-policy"]), /default-src 'none'/);
  assert.match(String(answer.headers["content-security-policy"]), /frame-ancestors 'none'/);
  assert.equal(answer.headers["cache-control"], "no-store");
  assert.equal(answer.headers["referrer-policy"], "no-referrer");
  assert.doesNotMatch(answer.body, /<script|http-equiv/i);
  for (const line of answer.headers["set-cookie"] ?? [])
    assert.ok(!line.startsWith(`${SESSION}=`), line);
}

export const statusOf = async (t: SessionSetUp, browser: TestBrowser, path = "/tasks/1") =>
  (await t.call(browser, path)).status;

export interface OpenSocket {
  readonly socket: WsClient;
  /** Close code and reason, once it has ended. */
  readonly closed: Promise<string>;
  readonly isOpen: () => boolean;
}

export async function openSocket(t: SessionSetUp, browser: TestBrowser): Promise<OpenSocket> {
  const cookie = `${SESSION}=${browser.cookie("localhost", SESSION)}`;
  const socket = new WsClient(`ws://localhost:${t.gateway.port}/live`, {
    headers: { cookie, origin: t.url },
  });
  const closed = once(socket, "close").then(([code, reason]) => `${code},${reason}`);
  await once(socket, "open");
  return { socket, closed, isOpen: () => socket.readyState === WsClient.OPEN };
}

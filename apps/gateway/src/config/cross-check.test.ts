import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ConfigError, formatPath } from "./config-error.ts";
import { validateConfig } from "./load-config.ts";

type Json = Readonly<Record<string, unknown>>;

const upstreams = { shop: { targets: ["http://127.0.0.1:4100"] } };
const staff = { kind: "users-file", file: "users.json" };
const people = { kind: "oidc", issuer: "https://login.example/", audience: "api" };
const route = (more: Json): Json => ({ path: "/", to: "shop", auth: "none", ...more });
const bucket = (more: Json = {}): Json => ({
  kind: "bucket",
  rate: { count: 5, seconds: 1 },
  burst: 5,
  per: "address",
  ...more,
});

/** What a configuration comes to: `path: reason` of every mistake, or `path? reason` of every warning. */
function findings(config: Json): string[] {
  try {
    const { warnings } = validateConfig({ upstreams, ...config }, { folder: "/" });
    return warnings.map(({ path, reason }) => `${formatPath(path)}? ${reason}`);
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error));
    return error.mistakes.map(({ path, reason }) => `${formatPath(path)}: ${reason}`);
  }
}

const ofRoutes = (...routes: Json[]): string[] => findings({ routes });

function only(found: readonly string[], start: string, reason: RegExp): void {
  assert.equal(found.length, 1, found.join("\n"));
  assert.ok(found[0]?.startsWith(start), String(found[0]));
  assert.match(found[0] ?? "", reason);
}

describe("routes", () => {
  test("collide when they answer the same at one place, in whatever spelling", () => {
    const get = { methods: ["GET"] };
    only(ofRoutes(route(get), route(get)), "routes[1].path: ", /answers GET .* routes\[0\]/);
    only(ofRoutes(route({}), route({})), "routes[1].path: ", /every other method/);
    const live = { path: "/*", limits: [bucket()], websocket: {} };
    only(
      ofRoutes(route(live), route({ ...live, ...get })),
      "routes[1].path: ",
      /WebSocket handshakes/,
    );
    const hosts = { hosts: ["a.example", "b.example"] };
    only(
      ofRoutes(route(hosts), route({ hosts: ["b.example"] })),
      "routes[1].path: ",
      /at the same/,
    );
  });

  test("do not collide when a method, a host or the pattern tells them apart", () => {
    const live = { limits: [bucket()], websocket: {} };
    assert.deepEqual(
      ofRoutes(
        route({ methods: ["GET"] }),
        route({ methods: ["HEAD", "POST"] }),
        route({}),
        route(live),
        route({ hosts: ["a.example"] }),
        route({ path: "/*" }),
        route({ path: "/**" }),
        route({ path: "/A" }),
        route({ path: "/a" }),
        route({ path: "/a/" }),
      ),
      [],
    );
  });

  test("that are wrong elsewhere still collide, and broken places do not seem to", () => {
    const both = ofRoutes(route({ maxBodyBytes: "x" }), route({}));
    assert.equal(both.length, 2);
    const oneOfTwo = ofRoutes(route({ methods: ["GET", "put"] }), route({ methods: ["GET"] }));
    assert.equal(oneOfTwo.length, 2);
    assert.match(oneOfTwo[1] ?? "", /answers GET at the same place/);
    only(ofRoutes(route({ methods: "GET" }), route({})), "routes[0].methods: ", /text, not a list/);
  });

  test("may not take the gateway's own paths", () => {
    for (const path of ["/.tidegate", "/.tidegate/x", "/.tidegate/**", "/healthz", "/readyz"]) {
      only(ofRoutes(route({ path })), "routes[0].path: ", /own endpoints/);
    }
    assert.deepEqual(ofRoutes(route({ path: "/.tidegate-x" }), route({ path: "/healthz/x" })), []);
  });

  test("are warned about when nobody can be let in", () => {
    const by = ["staff"];
    const check = (auth: Json) => findings({ identity: { staff }, routes: [route({ auth })] });
    only(check({ by, acr: ["phr"] }), "routes[0].auth.acr? ", /lets nobody in/);
    only(check({ by, maxAgeSeconds: 60 }), "routes[0].auth.maxAgeSeconds? ", /lets nobody in/);
    assert.deepEqual(check({ by, acr: ["urn:tidegate:acr:basic"] }), []);
    const both = { by: ["staff", "people"], acr: ["phr"] };
    assert.deepEqual(
      findings({ identity: { staff, people }, routes: [route({ auth: both })] }),
      [],
    );
  });
});

describe("names", () => {
  test("that nothing has are told with the nearest one", () => {
    const auth = { by: ["poeple"] };
    const found = findings({ identity: { people }, routes: [route({ to: "shopp", auth })] });
    assert.deepEqual(found, [
      'routes[0].to: is not a name under `upstreams`; did you mean "shop"?',
      'routes[0].auth.by[0]: is not a name under `identity`; did you mean "people"?',
    ]);
  });

  test("of things that are themselves wrong are still names", () => {
    const wrong = { shop: { targets: [] } };
    only(findings({ upstreams: wrong, routes: [route({})] }), "upstreams.shop.targets: ", /fewer/);
  });

  test("that objects inherit are none", () => {
    for (const to of ["constructor", "tostring", "hasownproperty"]) {
      only(ofRoutes(route({ to })).slice(0, 1), "routes[0].to: ", /not a name under/);
    }
  });
});

describe("listeners and issuers", () => {
  test("the admin listener leaves loopback only under an alarming name", () => {
    const routes = [route({})];
    for (const host of ["0.0.0.0", "::", "192.168.0.1", "gateway.local", "127.0.0.1.example"]) {
      only(findings({ admin: { host }, routes }), "admin.host: ", /dangerously/);
      const admin = { host, dangerouslyListenBeyondLoopback: true };
      only(findings({ admin, routes }), "admin.host? ", /has its token/);
    }
    for (const host of ["127.0.0.1", "127.8.8.8", "::1", "localhost"]) {
      assert.deepEqual(findings({ admin: { host }, routes }), []);
    }
  });

  test("the public listener may, with a warning while it speaks plain HTTP", () => {
    const routes = [route({})];
    only(findings({ listen: { host: "0.0.0.0" }, routes }), "listen.host? ", /TLS/);
    const listen = { host: "0.0.0.0", publicUrl: "https://shop.example" };
    assert.deepEqual(findings({ listen, routes }), []);
    only(findings({ admin: { port: 8080 }, routes }), "admin.port: ", /public listener/);
    assert.deepEqual(findings({ listen: { port: 0 }, admin: { port: 0 }, routes }), []);
  });

  test("an issuer over plain http is on this machine, and no two are the same", () => {
    const of = (...issuers: Json[]) => {
      const named = issuers.map((one, index) => [`i${index}`, { ...people, ...one }] as const);
      const auth = { by: named.map(([name]) => name) };
      return findings({ identity: Object.fromEntries(named), routes: [route({ auth })] });
    };
    only(of({ issuer: "http://login.example/" }), "identity.i0.issuer: ", /plain http/);
    assert.deepEqual(of({ issuer: "http://localhost:8081" }, { issuer: "http://127.0.0.1" }), []);
    only(of({}, {}), "identity.i1: ", /issuer and audience of `i0`/);
    assert.deepEqual(of({}, { audience: "other" }), []);
  });
});

describe("limits", () => {
  const open = (limits: readonly Json[], more: Json = {}) => ofRoutes(route({ limits, ...more }));

  test("need names that differ wherever they meet, made names too", () => {
    only(
      open([bucket(), bucket()]),
      "routes[0].limits[1]: ",
      /same limit .* "address-5-per-1s-burst-5"/,
    );
    only(
      open([bucket({ name: "a" }), bucket({ name: "a", burst: 6 })]),
      "routes[0].limits[1].name: ",
      /another limit/,
    );
    const routes = [route({ limits: [bucket()] })];
    only(findings({ limits: [bucket()], routes }), "routes[0].limits[0]: ", /same limit/);
    const messages = { limits: [bucket({ name: "a" })] };
    only(
      open([bucket({ name: "a" })], { websocket: messages }),
      "routes[0].websocket.limits[0].name: ",
      /another limit/,
    );
    assert.deepEqual(open([bucket(), bucket({ burst: 6 }), bucket({ per: "route" })]), []);
    const two = [route({ limits: [bucket()] }), route({ path: "/x", limits: [bucket()] })];
    assert.deepEqual(ofRoutes(...two), []);
  });

  test("for every route count addresses or the route", () => {
    const routes = [route({})];
    for (const per of ["user", "connection", undefined]) {
      only(findings({ limits: [bucket({ per })], routes }), "limits[0].per: ", /every route/);
    }
    assert.deepEqual(findings({ limits: [bucket({ per: "route" })], routes }), []);
  });

  test("per user are doubtful where nobody proves who they are", () => {
    only(open([bucket({ per: "user" })]), "routes[0].limits[0].per? ", /write "address"/);
    only(open([bucket({ per: undefined })]), "routes[0].limits[0].per? ", /write "address"/);
  });

  test("must refill within what the engine counts in", () => {
    const rate = { count: 1, seconds: 31_622_400 };
    only(open([bucket({ rate, burst: 2 })]), "routes[0].limits[0].burst: ", /more than a year/);
    assert.deepEqual(open([bucket({ rate, burst: 1 })]), []);
  });

  test("on bytes are doubtful below what may be sent at once", () => {
    only(open([bucket({ cost: "byte" })]), "routes[0].limits[0]? ", /more than 5 bytes.*413/);
    assert.deepEqual(open([bucket({ cost: "byte" })], { maxBodyBytes: 5 }), []);
  });

  test("on messages never drop control frames, and say what drop and delay cannot do", () => {
    const socket = (limit: Json, more: Json = {}) =>
      open([bucket()], {
        websocket: { limits: [bucket({ per: "connection", ...limit })], ...more },
      });
    const place = "routes[0].websocket.limits[0]";
    only(socket({ class: "control", exceed: "drop" }), `${place}.exceed: `, /break the connection/);
    for (const exceed of ["close", "delay"]) {
      assert.deepEqual(socket({ class: "control", exceed }), []);
    }
    only(
      socket({ cost: "byte", exceed: "drop" }, { maxMessageBytes: 5 }),
      `${place}.exceed? `,
      /only at its first frame/,
    );
    only(socket({ cost: "byte" }), `${place}? `, /more than 5 bytes/);
    const slow = { rate: { count: 1, seconds: 6 }, exceed: "delay" };
    only(socket(slow), `${place}.exceed? `, /6000 ms and `maxDelayMs` is 5000/);
    assert.deepEqual(socket(slow, { maxDelayMs: 6_000 }), []);
  });
});

describe("sockets", () => {
  test("ask before they cut, and are bounded where anybody may open them", () => {
    const websocket = { pingIntervalMs: 10_000, idleTimeoutMs: 10_000 };
    only(
      ofRoutes(route({ limits: [bucket()], websocket })),
      "routes[0].websocket.pingIntervalMs: ",
      /not shorter than/,
    );
    only(ofRoutes(route({ websocket: {} })), "routes[0].websocket? ", /as many sockets/);
  });

  test("penalise only who alone used a limit up, where there is a penalty", () => {
    const found = (limit: Json, config: Json = { penalty: {} }, auth: Json = { by: ["staff"] }) =>
      findings({
        identity: { staff },
        routes: [
          route({
            auth,
            limits: [bucket()],
            websocket: { limits: [bucket({ exceed: "penalise", ...limit })] },
          }),
        ],
        ...config,
      });
    const at = "routes[0].websocket.limits[0].";
    for (const per of ["connection", "user", "session", ["user", "route"]])
      assert.deepEqual(found({ per }), []);
    for (const per of ["route", "client", "address", ["address", "route"]])
      only(found({ per }), `${at}exceed: `, /used up by others/);
    only(found({ per: () => "" }), `${at}exceed: `, /used up by others/);
    only(found({ per: "user" }, {}), `${at}exceed: `, /there is no `penalty`/);
    only(found({ per: "user", strikes: false }), `${at}strikes: `, /is false/);
    only(found({ per: "user", from: "upstream" }), `${at}exceed: `, /what the service sends/);
  });
});

describe("limits by combination", () => {
  test("hold everywhere when they count addresses and routes, and name nothing twice", () => {
    const everywhere = (per: unknown): string[] =>
      findings({ limits: [bucket({ per })], routes: [route({})] });
    assert.deepEqual(everywhere(["address", "route"]), []);
    assert.deepEqual(
      everywhere(() => ""),
      [],
    );
    only(everywhere(["user", "route"]), "limits[0].per: ", /is "user"/);
    only(everywhere(["route", "route"]), "limits[0].per: ", /twice/);
    only(everywhere("usr"), "limits[0].per: ", /did you mean "user"/);
  });
});

test("what no route uses is doubtful", () => {
  const more = { ...upstreams, old: { targets: ["http://127.0.0.1"] } };
  const found = findings({ upstreams: more, identity: { staff }, routes: [route({})] });
  assert.deepEqual(found, [
    "upstreams.old? is used by no route",
    "identity.staff? is used by no route",
  ]);
});

describe("browser sessions", () => {
  const client = { id: "tidegate", secret: "x" };
  const ofIssuer = (more: Json, rest: Json = {}): string[] =>
    findings({
      identity: { people: { ...people, ...more } },
      routes: [route({ auth: { by: ["people"] } })],
      ...rest,
    });

  test("need a client, `openid`, and a public URL from which browsers take cookies", () => {
    const browser = {};
    assert.deepEqual(ofIssuer({ client, browser }), []);
    only(ofIssuer({ browser }), "identity.people.browser: ", /needs `client`/);
    only(
      ofIssuer({ client, browser: { scopes: ["tasks:read"] } }),
      "identity.people.browser.scopes: ",
      /lacks `openid`/,
    );
    const plain = { listen: { publicUrl: "http://app.example" } };
    only(ofIssuer({ client, browser }, plain), "listen.publicUrl: ", /no session cookie/);
    assert.deepEqual(ofIssuer({ client }, plain), []);
    for (const publicUrl of ["https://app.example", "http://localhost:8080"])
      assert.deepEqual(ofIssuer({ client, browser }, { listen: { publicUrl } }), []);
  });

  test("cannot be idle for longer than they live", () => {
    const sessions = { idleTimeoutSeconds: 601, absoluteTimeoutSeconds: 600 };
    only(ofIssuer({}, { sessions }), "sessions.idleTimeoutSeconds: ", /never comes/);
  });
});

test("CORS never lets every origin in with credentials", () => {
  const credentials = true;
  const found = ofRoutes(route({ cors: { origins: ["*"], credentials } }));
  only(found, "routes[0].cors.origins: ", /every site could read/);
  const mixed = ofRoutes(route({ cors: { origins: ["*", "https://app.example"] } }));
  only(mixed, "routes[0].cors.origins: ", /beside others/);
  assert.deepEqual(
    ofRoutes(route({ cors: { origins: ["https://app.example"], credentials } })),
    [],
  );
});

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  bucket,
  defineGateway,
  oidc,
  perHour,
  perMinute,
  perSecond,
  usersFile,
  window,
} from "tidegate";
import { configSchema } from "./schema.ts";

const upstreams = { bank: { targets: ["http://127.0.0.1:4103"] } };

test("the helpers write what the schema reads, in limits of requests and of messages", () => {
  const written = defineGateway({
    listen: { port: 8080 },
    identity: {
      people: oidc({ issuer: "https://tenant.example/", audience: "https://api.example" }),
      staff: usersFile({ file: "users.json" }),
    },
    upstreams,
    routes: [
      {
        path: "/bank/accounts/**",
        methods: ["GET"],
        to: "bank",
        auth: { by: ["people"], scopes: ["balance:read"] },
        limits: [
          bucket({ rate: perMinute(100), burst: 100, per: "user" }),
          window({ limit: 5, seconds: 60, cost: "byte", name: "pay" }),
        ],
      },
      {
        path: "/bank/live",
        to: "bank",
        auth: { by: ["staff"] },
        websocket: {
          limits: [
            {
              class: "text",
              ...bucket({ rate: perSecond(50), burst: 200, per: "connection" }),
              exceed: "delay",
            },
            { class: "binary", ...window({ limit: 9, seconds: 1, cost: "message" }) },
            bucket({ rate: perHour(9), burst: 9, cost: "byte" }),
          ],
        },
      },
    ],
  });
  const config = configSchema.parse(written);
  assert.deepEqual(config.routes[0]?.limits[0], {
    kind: "bucket",
    rate: { count: 100, seconds: 60 },
    burst: 100,
    per: "user",
    cost: "request",
    name: "user-100-per-60s-burst-100",
    shadow: false,
    strikes: true,
    store: "local",
    whenStoreLost: "deny",
  });
  assert.equal(config.routes[0]?.limits[1]?.name, "pay");
  assert.equal(config.routes[1]?.websocket?.limits[0]?.exceed, "delay");
  assert.deepEqual(config.routes[1]?.websocket?.limits[2]?.per, "connection");
});

test("the types refuse what the schema refuses", () => {
  const route = { path: "/", to: "bank", auth: "none" } as const;
  // @ts-expect-error: a misspelt option
  bucket({ rate: perSecond(1), burst: 1, nmae: "x" });
  // @ts-expect-error: an unknown key
  defineGateway({ upstreams, routes: [route], lisen: {} });
  const limits = [bucket({ rate: perSecond(1), burst: 1, cost: "message" })];
  // @ts-expect-error: requests are not counted by message
  const wrong = defineGateway({ upstreams, routes: [{ ...route, limits }] });
  assert.equal(configSchema.safeParse(wrong).success, false);
});

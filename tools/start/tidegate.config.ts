// The gateway of the demo. `npm start` runs it; ports, secrets and addresses reach it through the environment.

import { bucket, defineGateway, embedded, perMinute, perSecond } from "tidegate";

const { DEMO_PORT, DEMO_ADMIN_PORT, DEMO_DATA, DEMO_IDENTITY_URL, DEMO_CLIENT_SECRET } =
  process.env;
const { DEMO_TASKS_URL, DEMO_WORKSPACE_URL } = process.env;
if (!DEMO_PORT || !DEMO_ADMIN_PORT || !DEMO_DATA || !DEMO_IDENTITY_URL || !DEMO_CLIENT_SECRET)
  throw new Error("Cannot read the demo's configuration: it is started by `npm start` only");
if (!DEMO_TASKS_URL || !DEMO_WORKSPACE_URL)
  throw new Error("Cannot read the demo's configuration: it is started by `npm start` only");

const publicUrl = `http://localhost:${DEMO_PORT}`;
const readers = { by: ["people"], scopes: ["tasks:read"] };
const writers = { by: ["people"], scopes: ["tasks:write"] };
const reads = {
  methods: ["GET", "HEAD"],
  limits: [bucket({ name: "reads", rate: perMinute(600), burst: 200 })],
};
const writes = {
  methods: ["POST", "PUT", "PATCH", "DELETE"],
  limits: [bucket({ name: "writes", rate: perMinute(120), burst: 120 })],
};

export default defineGateway({
  listen: { port: Number(DEMO_PORT), publicUrl },
  admin: { port: Number(DEMO_ADMIN_PORT) },
  dataFolder: DEMO_DATA,
  identity: {
    people: embedded({
      url: DEMO_IDENTITY_URL,
      audience: publicUrl,
      client: { id: "gateway", secret: DEMO_CLIENT_SECRET },
      basic: { endpoint: `${DEMO_IDENTITY_URL}/basic/verify`, realm: "tidegate demo" },
      browser: {
        scopes: ["openid", "profile", "email", "offline_access", "tasks:read", "tasks:write"],
      },
    }),
  },
  upstreams: {
    tasks: { targets: [DEMO_TASKS_URL] },
    workspace: { targets: [DEMO_WORKSPACE_URL] },
  },
  routes: [
    // People come back here from the sign-in page, and by links.
    { path: "/", to: "workspace", auth: "none", methods: ["GET"], navigable: true },
    { path: "/workspace/*", to: "workspace", auth: "none", methods: ["GET"] },
    { path: "/tasks/**", to: "tasks", auth: readers, ...reads },
    { path: "/tasks/**", to: "tasks", auth: writers, ...writes },
    {
      path: "/tasks/live",
      to: "tasks",
      auth: readers,
      // Opening is a request as well: a client that reconnects in a loop is slowed here.
      limits: [bucket({ name: "feeds", rate: perMinute(60), burst: 20 })],
      websocket: {
        // A feed is listened to; what its clients say is a few words, and never long.
        maxMessageBytes: 65_536,
        limits: [
          { ...bucket({ name: "messages", rate: perSecond(10), burst: 50 }), exceed: "close" },
          {
            ...bucket({ name: "pings", rate: perSecond(2), burst: 20 }),
            class: "control",
            exceed: "close",
          },
        ],
      },
    },
  ],
});

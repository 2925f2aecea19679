// The gateway of the demo. `npm start` runs it; ports, secrets and addresses reach it through the environment.

import { bucket, defineGateway, perMinute, perSecond, usersFile } from "tidegate";

const { DEMO_PORT, DEMO_ADMIN_PORT, DEMO_DATA, DEMO_USERS_FILE, DEMO_TASKS_URL } = process.env;
if (!DEMO_PORT || !DEMO_ADMIN_PORT || !DEMO_DATA || !DEMO_USERS_FILE || !DEMO_TASKS_URL) {
  throw new Error("Cannot read the demo's configuration: it is started by `npm start` only");
}

const people = { by: ["people"] };
const reads = {
  methods: ["GET", "HEAD"],
  limits: [bucket({ name: "reads", rate: perMinute(600), burst: 200 })],
};
const writes = {
  methods: ["POST", "PUT", "PATCH", "DELETE"],
  limits: [bucket({ name: "writes", rate: perMinute(120), burst: 120 })],
};

export default defineGateway({
  listen: { port: Number(DEMO_PORT), publicUrl: `http://localhost:${DEMO_PORT}` },
  admin: { port: Number(DEMO_ADMIN_PORT) },
  dataFolder: DEMO_DATA,
  identity: { people: usersFile({ file: DEMO_USERS_FILE, realm: "tidegate demo" }) },
  upstreams: { tasks: { targets: [DEMO_TASKS_URL] } },
  routes: [
    { path: "/tasks/**", to: "tasks", auth: people, ...reads },
    { path: "/tasks/**", to: "tasks", auth: people, ...writes },
    {
      path: "/tasks/live",
      to: "tasks",
      auth: people,
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

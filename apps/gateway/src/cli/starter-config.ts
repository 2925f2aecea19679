/** What `tidegate init` writes. It is checked by a test, and works as it is. */
export const STARTER_CONFIG = `import { bucket, defineGateway, perMinute, perSecond } from "tidegate";

// Every key, with its range and default: docs/config.md of Tidegate.
// After a change: \`tidegate check\`, then \`tidegate start\`.
export default defineGateway({
  // Loopback only. \`host: "0.0.0.0"\` lets other machines in; put TLS in front of it then.
  listen: { port: 8080 },

  // What is behind the gateway. Several targets are used in turn.
  upstreams: {
    service: { targets: ["http://127.0.0.1:3000"] },
  },

  // Who may call. Uncomment one, and name it in a route: \`auth: { by: ["people"] }\`.
  // (Import \`usersFile\` or \`oidc\` from "tidegate" then.)
  identity: {
    // people: usersFile({ file: "users.json" }), // written by \`tidegate users add users.json ada --generate\`
    // people: oidc({ issuer: "https://login.example.com/", audience: "https://api.example.com" }),
  },

  // What is served. \`*\` is one segment, a trailing \`**\` the rest; the most specific path wins, never the order.
  routes: [
    {
      path: "/**",
      to: "service",
      auth: "none",
      limits: [bucket({ rate: perMinute(600), burst: 100, per: "address" })],
    },

    // WebSocket: limits hold for every message, for as long as the socket lives.
    {
      path: "/live",
      to: "service",
      auth: "none",
      limits: [bucket({ rate: perMinute(60), burst: 20, per: "address" })],
      websocket: {
        limits: [
          { class: "message", ...bucket({ rate: perSecond(50), burst: 100 }), exceed: "delay" },
          { class: "control", ...bucket({ rate: perSecond(5), burst: 20 }), exceed: "close" },
        ],
      },
    },
  ],
});
`;

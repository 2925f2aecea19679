// `npm run live [-- grace]`: shows what the demo's live feed says to a person, until Ctrl-C.

import { resolve } from "node:path";
import { readStartConfig } from "./config.ts";
import { readJsonFile } from "./private-file.ts";

const user = process.argv[2] ?? "ada";
const workingFolder = process.env["INIT_CWD"] ?? process.cwd();
const { dataFolder } = readStartConfig(process.env, { workingFolder });
const users = readJsonFile(resolve(dataFolder, "demo-users.json")) as Record<string, string>;
const ports = readJsonFile(resolve(dataFolder, "ports.json")) as Record<string, number>;
if (!users?.[user] || !ports) {
  console.error(`Cannot listen as ${user}: run \`npm start\` first; its people are ada and grace`);
  process.exit(1);
}

const url = `ws://localhost:${ports["gateway"]}/tasks/live`;
const authorization = `Basic ${Buffer.from(`${user}:${users[user]}`).toString("base64")}`;
const feed = new WebSocket(url, { headers: { authorization } });
feed.addEventListener("open", () => console.log(`${user} listens to ${url}`));
feed.addEventListener("message", (event) => console.log(String(event.data)));
feed.addEventListener("close", (event) => {
  console.log(`closed: ${event.code} ${event.reason}`);
});
process.on("SIGINT", () => feed.close(1000));

export { startTasks, type TasksOptions, type TasksServer } from "./server.ts";

import type { AssertionVerifier } from "@tidegate/auth";
import type { Clock, Random, Timer } from "@tidegate/clock";
import {
  createIdentityGate,
  createService,
  Database,
  serviceFault,
  type Logger,
  type Service,
  type Stages,
} from "@tidegate/service-kit";
import { Type } from "typebox";
import { addDocumentRoutes } from "./document-routes.ts";
import { FeedDoor, isFeedRequest, LIVE_PATH } from "./feed-door.ts";
import { MIGRATIONS, type TaskTables } from "./schema.ts";
import { addTaskRoutes } from "./task-routes.ts";
import { openTaskStore } from "./task-store-sqlite.ts";
import type { TaskStore } from "./task-store.ts";

export interface TasksOptions {
  readonly host: string;
  readonly port: number;
  readonly databaseFile: string;
  readonly maxTasksPerPerson: number;
  /** Where people reach the gateway, without a slash at the end. */
  readonly publicUrl: string;
  /** Checks who is calling; disposed with the server. */
  readonly verifier: AssertionVerifier;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

/** A running task manager. Disposing it stops it at once; `stages` stop it gently. */
export interface TasksServer extends AsyncDisposable {
  /** Where it listens, with the port that was really taken. */
  readonly url: string;
  readonly service: Service;
  readonly stages: Stages;
}

// Ten minutes: what is swept has been kept for hours or days.
const SWEEP_INTERVAL_MS = 600_000;

/** Opens the database, listens, and serves until stopped. */
export async function startTasks(options: TasksOptions): Promise<TasksServer> {
  const { clock, random, logger } = options;
  const problemsUrl = `${options.publicUrl}/tasks/problems`;
  const gate = createIdentityGate({ verifier: options.verifier, clock, realm: "tasks" });
  const database = Database.open<TaskTables>({
    file: options.databaseFile,
    migrations: MIGRATIONS,
  });
  let store: TaskStore;
  const door = new FeedDoor({ gate, clock, random, logger, problemsUrl, store: () => store });
  store = await openTaskStore({ ...options, database, changed: (person) => door.wake(person) });
  const service = createService({
    gate,
    problemsUrl,
    clock,
    random,
    logger,
    probe: () => database.probe(),
    isUpgrade: isFeedRequest,
  });
  addTaskRoutes(service, store);
  addLiveRoute(service);
  addDocumentRoutes(service, { publicUrl: options.publicUrl });
  service.app.server.on("upgrade", (request, connection, head) => {
    void door.door.enter(request, connection, head);
  });
  options.verifier.start();
  const sweeper = sweepRegularly(store, { clock, logger });

  const stages: Stages = {
    drain() {
      service.drain();
      door.door.drain();
    },
    finish: () => service.app.close(),
    cut() {
      service.app.server.closeAllConnections();
      void door[Symbol.asyncDispose]();
    },
    async flush() {
      sweeper.cancel();
      options.verifier[Symbol.dispose]();
      await database[Symbol.asyncDispose]();
    },
  };
  const stop = async (): Promise<void> => {
    stages.drain();
    stages.cut();
    await stages.finish();
    await stages.flush();
  };
  let url: string;
  try {
    url = await service.app.listen({ host: options.host, port: options.port });
  } catch (error) {
    await stop();
    throw error;
  }
  return { url, service, stages, [Symbol.asyncDispose]: stop };
}

/** What a plain request to the feed's path is told; the feed itself begins with an upgrade. */
function addLiveRoute(service: Service): void {
  service.app.get(
    LIVE_PATH,
    {
      exposeHeadRoute: false,
      config: { faults: ["upgrade_required", "too_many_feeds", "malformed_request"] },
      schema: {
        operationId: "liveFeed",
        summary: "The live feed, over WebSocket; see asyncapi.json",
        querystring: Type.Object(
          {
            since: Type.Optional(
              Type.Integer({
                minimum: 0,
                description: "The highest sequence seen; without it the feed begins now.",
              }),
            ),
          },
          { additionalProperties: false },
        ),
        response: { 101: { description: "The feed begins." } },
      },
    },
    async () => {
      throw serviceFault(
        "upgrade_required",
        "Cannot answer a plain request: connect by WebSocket",
        {
          headers: { upgrade: "websocket", connection: "Upgrade" },
        },
      );
    },
  );
}

function sweepRegularly(
  store: TaskStore,
  options: { readonly clock: Clock; readonly logger: Logger },
): Timer {
  let timer: Timer;
  const arm = (): void => {
    timer = options.clock.after(SWEEP_INTERVAL_MS, () => {
      store.sweep().then(arm, (error: unknown) => {
        options.logger.error({ event: "sweep.failed", err: error });
        arm();
      });
    });
  };
  arm();
  return { cancel: () => timer.cancel() };
}

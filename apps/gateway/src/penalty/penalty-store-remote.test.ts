import { MessageChannel } from "node:worker_threads";
import { systemClock, systemRandom } from "@tidegate/clock";
import { Bus } from "../worker/bus.ts";
import { penaltyStoreContract } from "./penalty-store.contract.ts";
import { EmbeddedPenalties } from "./penalty-store-embedded.ts";
import { answerPenalties, RemotePenalties } from "./penalty-store-remote.ts";

// Both ends of a real port, so that everything is copied as between threads.
penaltyStoreContract("a worker's store", async (clock) => {
  const main = new EmbeddedPenalties({ file: ":memory:", clock, random: systemRandom });
  const { port1, port2 } = new MessageChannel();
  const answering = new Bus(port1, systemClock, {});
  answerPenalties({ answer: (kind, handler) => answering.handle(kind, handler) }, main);
  const store = new RemotePenalties(main.memory, new Bus(port2, systemClock, {}), clock);
  return {
    store,
    async [Symbol.asyncDispose]() {
      port1.close();
      main[Symbol.dispose]();
    },
  };
});

import { systemRandom } from "@tidegate/clock";
import { createLimiter } from "./create-limiter.ts";
import { limiterContract } from "./limiter.contract.ts";

limiterContract("createLimiter()", (definitions, options) =>
  createLimiter({
    definitions: definitions.map((definition) => ({ ...definition, maxKeys: 1_000 })),
    random: systemRandom,
    maxHandles: 1_000,
    ...options,
  }),
);

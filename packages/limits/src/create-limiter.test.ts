import { systemClock, systemRandom } from "@tidegate/clock";
import { attachLimiter, createLimiter } from "./create-limiter.ts";
import type { LimitDefinition } from "./limit-definition.ts";
import { limiterContract } from "./limiter.contract.ts";
import { beginLockOwner, createLimiterMemory } from "./limiter-memory.ts";

const small = (definitions: readonly LimitDefinition[]): LimitDefinition[] =>
  definitions.map((definition) => Object.assign({}, definition, { maxKeys: 1_000 }));

limiterContract("createLimiter()", (definitions, options) =>
  createLimiter({
    definitions: small(definitions),
    random: systemRandom,
    maxHandles: 1_000,
    clock: systemClock,
    ...options,
  }),
);

limiterContract("attachLimiter()", (definitions, options) => {
  const memory = createLimiterMemory({
    definitions: small(definitions),
    random: systemRandom,
    reservationMs: options?.reservationMs ?? 30_000,
  });
  const lockOwner = beginLockOwner(memory, 1);
  const clock = options?.clock ?? systemClock;
  return attachLimiter({ memory, lockOwner, maxHandles: 1_000, clock });
});

import { randomInt } from "node:crypto";
import { test } from "node:test";
import { fuzzHttp } from "./http-fuzz.ts";

// A fixed seed for what must always hold, a new one to find what is not known yet; printed, so that it can be run again.
for (const { seed, threads } of [
  { seed: 1, threads: 0 },
  { seed: randomInt(2 ** 31), threads: 2 },
])
  test(`bad bytes from both sides end in answers or ends, never in a hang or a crash (seed ${seed}, ${threads} threads)`, async (t) => {
    const result = await fuzzHttp({ seed, threads, rounds: 192 });
    t.diagnostic(
      `${result.rounds} connections, ${result.answered} answered, ${result.reachedUpstream} requests forwarded`,
    );
  });

import { randomInt } from "node:crypto";
import { test } from "node:test";
import { fuzzHttp } from "./http-fuzz.ts";

// A fixed seed for what must always hold, a new one to find what is not known yet; printed, so that it can be run again.
for (const seed of [1, randomInt(2 ** 31)])
  test(`bad bytes from both sides end in answers or ends, never in a hang or a crash (seed ${seed})`, async (t) => {
    const result = await fuzzHttp({ seed, rounds: 192 });
    t.diagnostic(
      `${result.rounds} connections, ${result.answered} answered, ${result.reachedUpstream} requests forwarded`,
    );
  });

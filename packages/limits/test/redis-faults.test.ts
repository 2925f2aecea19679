import { simulationsHold } from "./redis-fault-runs.ts";

// A few seconds of every kind of fault; `redis-faults.long.test.ts` has more of the same.
simulationsHold({ seeds: 2, steps: 900 });

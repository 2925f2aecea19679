import { simulationsHold } from "./redis-fault-runs.ts";

simulationsHold({ seeds: 60, steps: 4_000 });

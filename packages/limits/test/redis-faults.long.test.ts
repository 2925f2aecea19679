import { simulationsHold } from "./redis-fault-runs.ts";

simulationsHold({ seeds: 15, steps: 2_500 });

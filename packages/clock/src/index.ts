export { Deadlines, type Deadline } from "./deadlines.ts";
export type { Clock, Timer } from "./clock.ts";
export { systemClock } from "./system-clock.ts";
export { manualClock, type ManualClock } from "./manual-clock.ts";
export { systemRandom, type Random } from "./random.ts";

import { configFuzz } from "./config-fuzz.ts";

// A minute or two on one core.
configFuzz(10_000);

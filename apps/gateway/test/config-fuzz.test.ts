import { configFuzz } from "./config-fuzz.ts";

configFuzz(400);

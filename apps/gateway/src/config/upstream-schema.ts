import { z } from "zod";
import type { Frozen } from "./frozen.ts";
import { bytes, count, milliseconds } from "./units.ts";
import { origin } from "./url.ts";

export const upstreamSchema = z.strictObject({
  targets: z
    .array(origin(["http"]))
    .min(1)
    .describe("Origins such as `http://127.0.0.1:4103`; several are used in turn."),
  connectTimeoutMs: milliseconds(3_000).describe("How long a TCP connection may take to open."),
  firstByteTimeoutMs: milliseconds(30_000).describe(
    "How long the answer's head may take after the request was sent whole.",
  ),
  idleTimeoutMs: milliseconds(60_000).describe(
    "How long an answer or an upload may stall between two bytes.",
  ),
  totalTimeoutMs: milliseconds(0, { min: 0 }).describe(
    "How long one exchange may take in all; 0 means no bound (long downloads, server-sent events).",
  ),
  keepAliveMs: milliseconds(20_000).describe(
    "How long an unused connection is kept. Keep it below the target's own idle timeout.",
  ),
  maxConnections: count(1, 100_000, 256).describe(
    "Connections to all targets at once, sockets not counted; each worker thread has an equal part, at least one.",
  ),
  maxQueued: count(0, 100_000, 512).describe(
    "Requests that may wait for a connection; further ones get 503. Each worker thread has an equal part.",
  ),
  queueTimeoutMs: milliseconds(2_000).describe(
    "How long a request may wait for a connection; then 503.",
  ),
  maxAnswerHeaderBytes: bytes(65_536, { min: 1_024, max: 1_048_576 }).describe(
    "Status line and fields of an answer; more is a bad answer (502).",
  ),
});
export type UpstreamConfig = Frozen<z.output<typeof upstreamSchema>>;

import { setTimeout as sleep } from "node:timers/promises";
import { type Channel, openChannel } from "./http-load.ts";
import { percentile } from "./percentile.ts";

/** Latency as a user sees it who does not wait for others. Milliseconds. */
export interface Latency {
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
  readonly asked: number;
  readonly notDelivered: number;
}

const GRACE_MS = 2_000;

/**
 * Asks at fixed times, whatever the answers do, and measures from the time a request was planned: a server that
 * stalls is charged for everybody who would have asked meanwhile (coordinated omission).
 */
export async function measureOpenLoop(options: {
  readonly port: number;
  readonly perSecond: number;
  readonly seconds: number;
  readonly connections: number;
  readonly request: Buffer;
  readonly expectedBody: Buffer;
}): Promise<Latency> {
  const { port, perSecond, seconds, connections, request, expectedBody } = options;
  const channels = await Promise.all(
    Array.from({ length: connections }, () => openChannel(port, expectedBody)),
  );
  const free: Channel[] = [...channels];
  const asked = Math.floor(perSecond * seconds);
  const latencies: number[] = [];
  // Planned times that found no free connection: their waiting counts.
  const late: number[] = [];
  const ask = async (channel: Channel, plannedMs: number): Promise<void> => {
    await channel.ask(request);
    latencies.push(performance.now() - plannedMs);
    const next = late.shift();
    if (next === undefined) free.push(channel);
    else await ask(channel, next);
  };
  const running: Promise<void>[] = [];
  const startMs = performance.now() + 20;
  for (let planned = 0; planned < asked;) {
    const plannedMs = startMs + (planned * 1_000) / perSecond;
    if (performance.now() < plannedMs) {
      await sleep(1);
      continue;
    }
    planned += 1;
    const channel = free.pop();
    if (channel === undefined) late.push(plannedMs);
    // What fails is not delivered, and counted so.
    else running.push(ask(channel, plannedMs).catch(() => undefined));
  }
  await Promise.race([Promise.all(running), sleep(GRACE_MS)]);
  await Promise.all(channels.map((channel) => channel.close()));
  const sorted = latencies.toSorted((a, b) => a - b);
  return {
    p50: percentile(sorted, 50),
    p99: percentile(sorted, 99),
    p999: percentile(sorted, 99.9),
    asked,
    notDelivered: asked - latencies.length,
  };
}

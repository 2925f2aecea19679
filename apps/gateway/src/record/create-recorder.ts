import type { Log } from "./logger.ts";
import type { Metrics } from "./metrics.ts";
import type { Recorder } from "./recorder.ts";
import { requestLine } from "./request-line.ts";
import { severityOf } from "./severity.ts";
import { socketLine } from "./socket-line.ts";

/**
 * The recorder of a running gateway: counts, then writes the line.
 * @param options.writesRequests false leaves out the lines at `info`; faults of upstreams and of ours stay
 */
export function createRecorder(options: {
  readonly log: Log;
  readonly metrics: Metrics;
  readonly writesRequests: boolean;
}): Recorder {
  const { log, metrics, writesRequests } = options;
  return {
    request(record) {
      metrics.request(record);
      const level = severityOf(record.verdict, record.fault);
      if ((level !== "info" || writesRequests) && log.writes(level)) {
        log.line(requestLine(record, level, log.timestamp()));
      }
    },
    socketOpened: (route) => metrics.socketOpened(route),
    socketEnded(record) {
      metrics.socketEnded(record);
      // How a socket ended says who ended it; only a broken upstream or gateway is more than information.
      const level = record.closeCode === 1011 ? "warn" : "info";
      if ((level !== "info" || writesRequests) && log.writes(level)) {
        log.line(socketLine(record, level, log.timestamp()));
      }
    },
    messageCounters: (route, towards) => metrics.messageCounters(route, towards),
  };
}

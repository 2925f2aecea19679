import type { OwnEndpoint } from "../accept/own-endpoint.ts";
import type { Http1Exchange } from "../accept/http1-listener.ts";
import type { DataPlane } from "../data-plane.ts";
import { REASON } from "../judge/reason.ts";
import { recordAdmitted, recordRefused } from "../record/record-visit.ts";
import type { Visit } from "../visit.ts";
import { sendWhole } from "./serve-request.ts";

/** Serves an endpoint of our own, and records it. @param ended called once, at its very end, unless this throws */
export async function serveOwn(
  plane: DataPlane,
  {
    endpoint,
    exchange,
    visit,
    ended,
  }: { endpoint: OwnEndpoint; exchange: Http1Exchange; visit: Visit; ended: () => void },
): Promise<void> {
  const { head, peer, answer } = exchange;
  answer.listener = { clientDrained() {}, clientGone: () => visit.leave() };
  const problem = await endpoint.serve({
    head,
    peer,
    visit,
    requestId: visit.requestId,
    readBody: (maxBytes) => readBody(plane, exchange, maxBytes),
    get signal() {
      return visit.signal;
    },
  });
  if (!visit.isGone) sendWhole(answer, problem);
  const { status } = problem;
  // Judged by the rules of a route, as a call to it would be.
  if (visit.refusal.reason === REASON.none) recordAdmitted(plane, visit, { status });
  else recordRefused(plane, visit, { status });
  ended();
}

/** As a form or a small document: slower than this a body is not waited for (slow POST attack). */
const MIN_BYTES_PER_SECOND = 240;

function readBody(
  { slowBodies }: DataPlane,
  { body }: Http1Exchange,
  maxBytes: number,
): Promise<Buffer | undefined> {
  const { promise, resolve } = Promise.withResolvers<Buffer | undefined>();
  if (body.declaredBytes > maxBytes) return Promise.resolve(undefined);
  const chunks: Buffer[] = [];
  let length = 0;
  body.start({
    bodyChunk(bytes) {
      length += bytes.length;
      // Chunks lie in a buffer that is used again.
      if (length <= maxBytes) chunks.push(Buffer.from(bytes));
      else {
        body.pause();
        resolve(undefined);
      }
    },
    bodyEnded: () => resolve(Buffer.concat(chunks)),
    bodyFailed: () => resolve(undefined),
  });
  slowBodies.watch(body, MIN_BYTES_PER_SECOND, () => resolve(undefined));
  return promise;
}

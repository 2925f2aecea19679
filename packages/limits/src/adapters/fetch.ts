/** Limits around any handler of the form `(request, info) => Response`: Deno, Bun, workers, service frameworks. */
import { systemClock, systemRandom, type Clock, type Random } from "@tidegate/clock";
import { CallGate, toSet, type Passage } from "./call-gate.ts";
import { keyOfAddress, type CallLimit, type Refusal } from "./call-limit.ts";
import { toHttpRefusal, type ProblemTypes } from "./http-refusal.ts";

export type { CallLimit, Refusal } from "./call-limit.ts";

/** What the server knows of a request. A `Request` has no address, so whoever serves passes it. */
export interface CallInfo {
  /** Of the connection; from a field only if a proxy of one's own wrote it. */
  readonly address?: string | undefined;
}

/** What keys and costs are asked with. */
export interface FetchCall<Info> {
  readonly request: Request;
  readonly info: Info;
}

export interface LimitedOptions<Info> {
  /** All or nothing. */
  readonly limits: readonly CallLimit<FetchCall<Info>>[];
  /** True lets the request pass unlimited. */
  readonly skip?: (call: FetchCall<Info>) => boolean;
  /** Told of each refusal, for logs and counters; must not throw. */
  readonly observe?: (refusal: Refusal, call: FetchCall<Info>) => void;
  /** Also `X-RateLimit-Limit`, `-Remaining` and `-Reset`. */
  readonly withLegacyFields?: boolean;
  readonly problemTypes?: ProblemTypes;
  readonly clock?: Clock;
  readonly random?: Random;
}

export type FetchHandler<Info> = (request: Request, info: Info) => Response | Promise<Response>;

/**
 * The same handler behind limits. What it throws is thrown on, and counts as status 500 for `refundWhen`.
 * A slot of a concurrency limit is held until the body was read to its end or given up.
 * @throws {RangeError} naming every limit that cannot be honoured
 */
export function limited<Info extends CallInfo = CallInfo>(
  handler: FetchHandler<Info>,
  options: LimitedOptions<Info>,
): (request: Request, info: Info) => Promise<Response> {
  const { limits, clock = systemClock, random = systemRandom, withLegacyFields = false } = options;
  const gate = new CallGate({ limits, clock, random, withLegacyFields });
  const positions = toSet(limits, limits);
  return async (request, info) => {
    const call = { request, info };
    if (options.skip?.(call) === true) return handler(request, info);
    const passage = gate.ask(call, positions);
    if (passage.refusal !== undefined) {
      options.observe?.(passage.refusal, call);
      const refused = toHttpRefusal(passage.refusal, passage.fields, options.problemTypes);
      return new Response(refused.body, { status: refused.status, headers: refused.fields });
    }
    return answer(passage, { handler, request, info });
  };
}

/** Key: the address that the server passed, IPv6 by /64. */
export function byAddress(call: FetchCall<CallInfo>): string {
  return keyOfAddress(call.info.address);
}

async function answer<Info>(
  passage: Passage,
  call: { readonly handler: FetchHandler<Info>; readonly request: Request; readonly info: Info },
): Promise<Response> {
  let response: Response;
  try {
    response = await call.handler(call.request, call.info);
  } catch (error) {
    passage.end(toEndStatus(call.request, 500));
    throw error;
  }
  // The answer to an upgrade belongs to its connection; nothing can be added to it.
  if (response.status === 101) {
    passage.end(response.status);
    return response;
  }
  const told = withFields(response, passage.fields);
  if (!passage.holdsSlots || told.body === null) {
    passage.end(toEndStatus(call.request, response.status));
    return told;
  }
  const body = whenRead(told.body, (isWhole) =>
    passage.end(isWhole ? toEndStatus(call.request, response.status) : undefined),
  );
  return new Response(body, told);
}

/** Hanging up during costly work must not be a way not to pay for it. */
function toEndStatus(request: Request, status: number): number | undefined {
  return request.signal.aborted ? undefined : status;
}

function withFields(response: Response, fields: Readonly<Record<string, string>>): Response {
  const entries = Object.entries(fields);
  if (entries.length === 0) return response;
  try {
    for (const [name, value] of entries) response.headers.set(name, value);
    return response;
  } catch {
    // Fields of `Response.redirect`, and of what `fetch` gave, cannot be changed (Fetch standard, header guard "immutable").
    const changeable = new Response(response.body, response);
    for (const [name, value] of entries) changeable.headers.set(name, value);
    return changeable;
  }
}

/** The same body; `end` is called once, when nobody will read any more of it. */
function whenRead(
  body: ReadableStream<Uint8Array<ArrayBuffer>>,
  end: (isWhole: boolean) => void,
): ReadableStream<Uint8Array<ArrayBuffer>> {
  const reader = body.getReader();
  return new ReadableStream<Uint8Array<ArrayBuffer>>(
    {
      async pull(controller) {
        try {
          const { done, value } = await reader.read();
          if (!done) return controller.enqueue(value);
          end(true);
          controller.close();
        } catch (error) {
          end(false);
          throw error;
        }
      },
      async cancel(reason) {
        end(false);
        await reader.cancel(reason);
      },
    },
    // Nothing is read ahead of whoever reads.
    { highWaterMark: 0 },
  );
}

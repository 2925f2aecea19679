import type { Clock } from "@tidegate/clock";

/** How documents are fetched; the platform's `fetch` fits. */
export type Fetch = (url: URL, init: RequestInit) => Promise<Response>;

/**
 * Fetches a JSON document of an issuer: metadata, keys, or an answer about a credential.
 * Redirects are refused: they would let whoever can bend one answer choose where keys come from.
 * @throws {Error} with the reason; nothing of the answer's text is in it
 */
export async function fetchJson(
  url: URL,
  {
    fetch,
    clock,
    signal,
    form,
    timeoutMs = FETCH_TIMEOUT_MS,
  }: {
    readonly fetch: Fetch;
    readonly clock: Clock;
    readonly signal: AbortSignal;
    /** Sent by POST; default: a GET. */
    readonly form?: FormRequest;
    readonly timeoutMs?: number;
  },
): Promise<unknown> {
  const deadline = new AbortController();
  const timer = clock.after(timeoutMs, () =>
    deadline.abort(new Error(`no complete answer within ${timeoutMs} ms`)),
  );
  try {
    const response = await fetch(url, {
      redirect: "manual",
      ...(form === undefined
        ? { headers: { accept: "application/json" } }
        : {
            method: "POST",
            headers: { accept: "application/json", ...form.headers },
            body: form.parameters,
          }),
      signal: AbortSignal.any([signal, deadline.signal]),
    });
    if (response.status !== 200) {
      await response.body?.cancel();
      throw new HttpStatusError(response.status, response.headers.get("retry-after"));
    }
    return JSON.parse(await readBounded(response));
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new Error(`Cannot fetch ${url.origin}${url.pathname}: ${reason}`, { cause });
  } finally {
    timer.cancel();
  }
}

/** A question that is asked as a form. */
export interface FormRequest {
  readonly parameters: URLSearchParams;
  readonly headers: Readonly<Record<string, string>>;
}

/** An answer other than 200; redirects among them. */
export class HttpStatusError extends Error {
  readonly status: number;
  /** When it says to come back; 0 when it does not. At most an hour. */
  readonly retryAfterMs: number;

  constructor(status: number, retryAfter: string | null) {
    super(`the answer's status is ${status}`);
    this.name = "HttpStatusError";
    this.status = status;
    // RFC 9110 §10.2.3; the form with a date is not read.
    const seconds = /^\d{1,9}$/.test(retryAfter ?? "") ? Number(retryAfter) : 0;
    this.retryAfterMs = Math.min(seconds, 3_600) * 1_000;
  }
}

/** Long enough for a provider that is slow, short enough that callers who wait get an answer. */
const FETCH_TIMEOUT_MS = 5_000;

/** The largest documents seen are below 30 KB. More is refused, so that an issuer cannot fill our memory. */
const MAX_DOCUMENT_BYTES = 262_144;

async function readBounded(response: Response): Promise<string> {
  if (response.body === null) return "";
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  // Leaving the loop early cancels the body.
  for await (const chunk of response.body as AsyncIterable<Uint8Array>) {
    bytes += chunk.byteLength;
    if (bytes > MAX_DOCUMENT_BYTES)
      throw new Error(`it is longer than ${MAX_DOCUMENT_BYTES} bytes`);
    chunks.push(chunk);
  }
  return new TextDecoder("utf-8", { fatal: true }).decode(Buffer.concat(chunks));
}

/**
 * Whether keys and metadata may come from `url`: https, or plain http on this machine.
 * @throws {Error} when it is not
 */
export function assertTrustworthy(url: URL): void {
  if (url.username !== "" || url.password !== "")
    throw new Error(`Cannot use ${url.host}: it carries credentials`);
  if (url.protocol === "https:") return;
  if (url.protocol === "http:" && isLoopback(url)) return;
  throw new Error(`Cannot use ${url.origin}: neither https nor http on a loopback address`);
}

export const isLoopback = ({ hostname }: URL): boolean =>
  hostname === "localhost" ||
  hostname.endsWith(".localhost") ||
  hostname === "[::1]" ||
  /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(hostname);

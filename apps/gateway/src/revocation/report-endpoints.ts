import type { OwnEndpoint, OwnRequest } from "../accept/own-endpoint.ts";
import { OWN_PREFIX } from "../accept/own-endpoints.ts";
import type { ProblemAnswer } from "../forward/problem.ts";
import type { MainThread } from "../worker/data-threads.ts";
import { EVENT_REPORT, LOGOUT_REPORT, type ReportAnswer } from "./event-reports.ts";

/**
 * Where providers and transmitters tell of ended sessions. Who they are their signature says; whoever else posts here
 * gets no further than that check.
 */
export function reportEndpoints(main: Pick<MainThread, "ask">): readonly OwnEndpoint[] {
  let asking = 0;
  const ask = async (kind: string, token: string): Promise<ReportAnswer> => {
    if (asking >= MOST_ASKING) return { outcome: "unavailable", retryAfterMs: RETRY_AFTER_MS };
    asking++;
    try {
      return (await main.ask(kind, token, ANSWER_DEADLINE_MS)) as ReportAnswer;
    } finally {
      asking--;
    }
  };
  return [
    {
      matches: (path) => path === `${OWN_PREFIX}backchannel-logout`,
      methods: ["POST"],
      async serve(request) {
        const token = await readLogoutToken(request);
        if (token === undefined) return logoutAnswer(BAD_REQUEST);
        return logoutAnswer(await ask(LOGOUT_REPORT, token));
      },
    },
    {
      matches: (path) => path === `${OWN_PREFIX}events`,
      methods: ["POST"],
      async serve(request) {
        const token = await readEventToken(request);
        if (token === undefined) return eventAnswer(BAD_REQUEST);
        return eventAnswer(await ask(EVENT_REPORT, token));
      },
    },
  ];
}

/** OpenID Connect Back-Channel Logout 1.0 §2.5: a form with the one parameter; unknown ones are passed over. */
async function readLogoutToken(request: OwnRequest): Promise<string | undefined> {
  if (mediaTypeOf(request) !== "application/x-www-form-urlencoded") return undefined;
  const body = await request.readBody(MAX_BODY_BYTES);
  const tokens = new URLSearchParams(body?.toString("latin1")).getAll("logout_token");
  return tokens.length === 1 ? tokens[0] : undefined;
}

/** RFC 8935 §2.1. */
async function readEventToken(request: OwnRequest): Promise<string | undefined> {
  if (mediaTypeOf(request) !== "application/secevent+jwt") return undefined;
  return (await request.readBody(MAX_BODY_BYTES))?.toString("latin1").trim();
}

function mediaTypeOf({ head: { fields } }: OwnRequest): string {
  for (let at = 0; at < fields.length; at += 2) {
    if (fields[at]?.toLowerCase() !== "content-type") continue;
    return (fields[at + 1]?.split(";")[0] ?? "").trim().toLowerCase();
  }
  return "";
}

/** §2.8 of Back-Channel Logout. */
function logoutAnswer(answer: ReportAnswer): ProblemAnswer {
  switch (answer.outcome) {
    case "taken":
      return { status: 200, fields: NO_STORE.slice(), body: "" };
    case "refused":
      return json(400, { error: "invalid_request" });
    case "unavailable":
      return unavailable(answer.retryAfterMs, { error: "temporarily_unavailable" });
  }
}

/** RFC 8935 §2.2, §2.3. */
function eventAnswer(answer: ReportAnswer): ProblemAnswer {
  switch (answer.outcome) {
    case "taken":
      return { status: 202, fields: NO_STORE.slice(), body: "" };
    case "refused":
      return json(400, { err: answer.error, description: "The event is not accepted" });
    case "unavailable":
      return unavailable(answer.retryAfterMs, { err: "temporarily_unavailable" });
  }
}

function unavailable(retryAfterMs: number, body: object): ProblemAnswer {
  const { fields, ...rest } = json(503, body);
  const seconds = Math.max(1, Math.ceil(retryAfterMs / 1_000));
  return { ...rest, fields: [...fields, "Retry-After", String(seconds)] };
}

function json(status: number, body: object): ProblemAnswer {
  const fields = [...NO_STORE, "Content-Type", "application/json"];
  return { status, fields, body: `${JSON.stringify(body)}\n` };
}

const NO_STORE: readonly string[] = ["Cache-Control", "no-store"];
const BAD_REQUEST: ReportAnswer = { outcome: "refused", error: "invalid_request" };

/** A token has at most 8 KiB; a form doubles what it has to escape. */
const MAX_BODY_BYTES = 16_384;
/** Reports of one worker that wait for the main thread. A provider sends one after the other; more is a flood. */
const MOST_ASKING = 64;
const RETRY_AFTER_MS = 1_000;
/** Keys may have to be fetched first. */
const ANSWER_DEADLINE_MS = 15_000;

import type { Revocation } from "@tidegate/auth";
import { Fault, FAULTS } from "../fault.ts";
import { nameOf, type RecordedRevocation } from "../revocation/revocation-log.ts";
import { jsonAnswer, problemAnswer, type AdminAnswer } from "./admin-answer.ts";

/** What these pages need of who revokes. Implementation: `revocation/revocation-desk.ts`. */
export interface RevocationSource {
  revoke(revocations: readonly Revocation[], source: string): Promise<void>;
  list(limit: number): readonly RecordedRevocation[];
  /** Issuer by its name in the configuration, or itself when it is an issuer; undefined when nobody here is called so. */
  issuerOf(nameOrIssuer: string): Promise<string | undefined>;
  /** Seconds since the epoch. */
  nowSeconds(): number;
}

/** What is revoked and still counts; the newest last. */
export function listRevocations(source: RevocationSource): AdminAnswer {
  const revocations = source.list(MOST_LISTED).map(toShown);
  return jsonAnswer(200, `${JSON.stringify({ revocations })}\n`);
}

/**
 * Revokes what the query names: `issuer`, and one of `subject`, `session`, `token`; with `leaked`, a subject's access
 * tokens alone. Answers when every worker knows.
 * @param target with its query
 */
export async function revoke(source: RevocationSource, target: string): Promise<AdminAnswer> {
  const query = new URLSearchParams(target.split("?")[1] ?? "");
  const asked = await readRevocation(query, source);
  if (typeof asked === "string") return problemAnswer(400, "bad-query", asked);
  try {
    await source.revoke([asked], "admin");
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    const { status, title } = FAULTS[error.kind];
    return problemAnswer(status, error.kind, title, { "retry-after": "5" });
  }
  return jsonAnswer(200, `${JSON.stringify({ revoked: shownOf(asked) })}\n`);
}

async function readRevocation(
  query: URLSearchParams,
  source: RevocationSource,
): Promise<Revocation | string> {
  for (const name of query.keys()) {
    if (!KNOWN.has(name)) return `The query has ${name}, which is not known`;
    if (query.getAll(name).length > 1) return `The query has ${name} twice`;
  }
  const issuer = await source.issuerOf(query.get("issuer") ?? "");
  // A mistyped issuer would revoke nothing, and nobody would notice.
  if (issuer === undefined) return "The query must name an issuer of the configuration";
  const named = NAMES.filter((name) => query.has(name));
  const [kind] = named;
  const value = kind === undefined ? "" : (query.get(kind) ?? "");
  if (kind === undefined || named.length > 1 || value === "" || value.length > MOST_CHARACTERS)
    return "The query must have one of subject, session, token";
  const isLeak = query.has("leaked");
  if (isLeak && kind !== "subject") return "Only a subject can have leaked tokens";
  const atSeconds = source.nowSeconds();
  switch (kind) {
    case "subject":
      return { kind: isLeak ? "issued-before" : "subject", issuer, subject: value, atSeconds };
    case "session":
      return { kind, issuer, sessionId: value };
    case "token":
      return { kind, issuer, tokenId: value };
  }
}

const NAMES = ["subject", "session", "token"] as const;
const KNOWN = new Set<string>(["issuer", "leaked", ...NAMES]);

const shownOf = (revocation: Revocation): object => ({
  kind: revocation.kind,
  issuer: revocation.issuer,
  name: nameOf(revocation),
  ...("atSeconds" in revocation ? { atSeconds: revocation.atSeconds } : {}),
});

const toShown = ({ revocation, recordedMs, untilMs, source }: RecordedRevocation): object => ({
  ...shownOf(revocation),
  source,
  recordedMs,
  untilMs,
});

/** What fits a screen and a scraper; everything is in the log. */
const MOST_LISTED = 1_000;
/** As in tokens (OpenID Connect Core §2). */
const MOST_CHARACTERS = 255;

import { MOST_LISTED, type PenaltyStore } from "../penalty/penalty-store.ts";
import { jsonAnswer, problemAnswer, type AdminAnswer } from "./admin-answer.ts";

/** Who is boxed, and who was lately; those boxed last first. @param store undefined: nobody is ever boxed */
export async function listPenalties(store: PenaltyStore | undefined): Promise<AdminAnswer> {
  const penalties = (await store?.list(MOST_LISTED)) ?? [];
  return jsonAnswer(200, `${JSON.stringify({ penalties })}\n`);
}

/** Forgives the caller that the query names. @param target with its query, such as `/penalties/lift?caller=…` */
export async function liftPenalty(
  store: PenaltyStore | undefined,
  target: string,
): Promise<AdminAnswer> {
  const callers = new URLSearchParams(target.split("?")[1] ?? "").getAll("caller");
  const [caller] = callers;
  if (caller === undefined || callers.length > 1)
    return problemAnswer(400, "bad-query", "The query must name one caller");
  const lifted = (await store?.lift(caller)) ?? false;
  return jsonAnswer(200, `${JSON.stringify({ lifted })}\n`);
}

import type { FastifyRequest } from "fastify";
import { readDeviceTokens } from "../browser/device-cookie.ts";
import type { Person } from "../people/person.ts";
import { networkOf, waitProblem, type AccountParts } from "./account-parts.ts";

/**
 * Asks for the password again before a change (ASVS 7.5.1), under the same back-off as a sign-in: whoever sits at an open
 * browser must not be able to guess faster here.
 * @returns undefined when it is right, else the problems to tell
 */
export async function confirmPassword(
  { people }: AccountParts,
  request: FastifyRequest,
  confirmation: { readonly person: Person; readonly password: string; readonly field: string },
): Promise<
  | { readonly problems: Readonly<Record<string, string>>; readonly retryAfterSeconds?: number }
  | undefined
> {
  const answer = await people.signIn.attempt({
    login: confirmation.person.loginName,
    password: confirmation.password,
    network: networkOf(request),
    deviceTokens: readDeviceTokens(request),
  });
  switch (answer.outcome) {
    case "accepted":
      // A name may have passed to somebody else in the meantime.
      return answer.person.id === confirmation.person.id
        ? undefined
        : { problems: { [confirmation.field]: "wrong-password" } };
    case "refused":
      return { problems: { [confirmation.field]: "wrong-password" } };
    case "wait":
    case "busy": {
      const { retryAfterSeconds } = waitProblem({
        outcome: answer.outcome,
        retryAfterMs: answer.retryAfterMs,
      });
      return { problems: { [confirmation.field]: answer.outcome }, retryAfterSeconds };
    }
  }
}

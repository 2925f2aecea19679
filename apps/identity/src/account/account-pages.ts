import type { FastifyInstance } from "fastify";
import type { AccountParts } from "./account-parts.ts";
import { addAccountChanges } from "./account-changes.ts";
import { addAccountHome } from "./account-home.ts";
import { addDeletion } from "./delete-account.ts";
import { addEmailVerification } from "./verify-email.ts";
import { addPasswordReset } from "./reset-password.ts";
import { addRegistration } from "./register.ts";

/**
 * The pages where people look after their account: /account, /register, /reset, /verify. Each form is answered with 303.
 * `Origin` and form parsing are the app's (`web/identity-app.ts`), the form's token is checked here.
 */
export function registerAccountPages(app: FastifyInstance, parts: AccountParts): void {
  addRegistration(app, parts);
  addPasswordReset(app, parts);
  addEmailVerification(app, parts);
  addAccountHome(app, parts);
  addAccountChanges(app, parts);
  addDeletion(app, parts);
}

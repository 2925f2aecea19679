import type { FastifyInstance } from "fastify";
import { keepDeviceToken, readDeviceTokens } from "../browser/device-cookie.ts";
import { stateOf } from "../browser/flash.ts";
import { readField, readParameter } from "../browser/form-fields.ts";
import { parseOwnPath, withContinue } from "../browser/own-path.ts";
import { registerPage, registrationClosedPage } from "../pages/register-page.ts";
import type { RegistrationProblems } from "../people/registration.ts";
import { seeOther, sendPage } from "../web/identity-app.ts";
import { networkOf, tell, waitProblem, type AccountParts } from "./account-parts.ts";

/** /register. After it the person is signed in, and a code is on its way to their mailbox. */
export function addRegistration(app: FastifyInstance, parts: AccountParts): void {
  const { people, browser, signedIn } = parts;
  const { registration } = people;

  app.get("/register", async (request, reply) => {
    const continueTo = parseOwnPath(readParameter(request, "continue"));
    const signInUrl = continueTo ?? signedIn.signInUrl("/account");
    if (!registration.isOpen) return sendPage(reply, registrationClosedPage({ signInUrl }));
    const exchange = { request, reply };
    const page = registerPage({
      formToken: browser.forms.issue(exchange),
      form: stateOf(browser.flash.take(exchange, FORM)),
      continueTo,
      signInUrl,
    });
    return sendPage(reply, page);
  });

  app.post("/register", async (request, reply) => {
    browser.checkForm(request);
    const exchange = { request, reply };
    const continueTo = parseOwnPath(readField(request, "continue"));
    const loginName = readField(request, "loginName");
    const email = readField(request, "email");
    const answer = await registration.register({
      loginName,
      email,
      password: readField(request, "password"),
      network: networkOf(request),
    });
    const location = withContinue("/register", continueTo);
    const values = { loginName, email };
    switch (answer.outcome) {
      case "closed":
        return seeOther(reply, location);
      case "wait":
      case "busy":
        return tell(parts, exchange, { form: FORM, location, values, ...waitProblem(answer) });
      case "refused": {
        const problems = toCodes(answer.problems);
        return tell(parts, exchange, { form: FORM, location, values, problems });
      }
      case "registered": {
        const { person } = answer;
        if (person.email !== undefined) await people.verification.begin(person, person.email);
        const { token } = await people.devices.greet({
          personId: person.id,
          tokens: readDeviceTokens(request),
          userAgent: request.headers["user-agent"] ?? "",
        });
        keepDeviceToken(exchange, token);
        return seeOther(
          reply,
          await signedIn.begin(exchange, {
            personId: person.id,
            continueTo: continueTo ?? "/verify",
          }),
        );
      }
    }
  });
}

const FORM = "register";

const toCodes = ({ loginName, email, password }: RegistrationProblems): Record<string, string> => ({
  ...(loginName !== undefined && { loginName: `name-${loginName}` }),
  ...(email !== undefined && { email: "email-shape" }),
  ...(password !== undefined && { password }),
});

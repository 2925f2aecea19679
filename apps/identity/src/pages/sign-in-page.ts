import { field, formNotice, formToken, hasProblem } from "./field.ts";
import type { FormState } from "./form-state.ts";
import { html, type Html } from "./html.ts";
import { layout } from "./layout.ts";

/** Another way to prove who one is, offered below the password. */
export interface OtherWay {
  /** Such as `Sign in with a passkey`. */
  readonly label: string;
  /** Where its form is posted. */
  readonly action: string;
}

export interface SignInPage {
  /** Where the form is posted. */
  readonly action: string;
  readonly formToken: string;
  readonly form: FormState;
  /** Who asks for the sign-in, as people know it; undefined for the account pages themselves. */
  readonly clientName: string | undefined;
  /** Already typed for the person; a hint of the client, or who must sign in again. */
  readonly login?: string;
  /** The person is signed in, and is asked once more before something important. */
  readonly isAgain?: boolean;
  /** Undefined where nobody may register. */
  readonly registerUrl: string | undefined;
  readonly resetUrl: string;
  /** Leads back to the client without signing in. */
  readonly cancelUrl?: string;
  readonly otherWays?: readonly OtherWay[];
}

/** Who are you? */
export function signInPage(page: SignInPage): string {
  const { form, clientName, otherWays = [], isAgain = false } = page;
  const login = form.values["login"] ?? page.login ?? "";
  const title = isAgain ? "Confirm that it is you" : "Sign in";
  return layout({
    title,
    hasProblem: hasProblem(form),
    content: html`<section class="card">
      <h1>${title}</h1>
      ${clientName === undefined ? html`<p class="lead">to your account</p>` : html`<p class="lead">to continue to <strong>${clientName}</strong></p>`}
      ${formNotice(form)}
      <form method="post" action="${page.action}">
        ${formToken(page.formToken)}
        ${field(form, { name: "login", label: "Name or e-mail", autocomplete: "username", value: login, maxLength: 254, isFirst: login === "" })}
        ${field(form, { name: "password", label: "Password", type: "password", autocomplete: "current-password", isFirst: login !== "" })}
        <button type="submit">${isAgain ? "Confirm" : "Sign in"}</button>
      </form>
      ${otherWays.length > 0 && others(otherWays, page.formToken)}
      <p class="after">
        <a href="${page.resetUrl}">Forgot your password?</a>
        ${page.registerUrl !== undefined && html`<a href="${page.registerUrl}">Create an account</a>`}
        ${page.cancelUrl !== undefined && html`<a href="${page.cancelUrl}">Cancel</a>`}
      </p>
    </section>`,
  });
}

const others = (ways: readonly OtherWay[], token: string): Html =>
  html`<p class="or">or</p>
    ${ways.map(
      (way) =>
        html`<form method="post" action="${way.action}">
          ${formToken(token)}
          <button type="submit" class="quiet">${way.label}</button>
        </form>`,
    )}`;

import { MIN_PASSWORD_LENGTH } from "../people/password-rules.ts";
import { carried, field, formNotice, formToken, hasProblem } from "./field.ts";
import type { FormState } from "./form-state.ts";
import { html } from "./html.ts";
import { layout } from "./layout.ts";

export interface RegisterPage {
  readonly formToken: string;
  readonly form: FormState;
  /** Where the person came from and goes on afterwards. */
  readonly continueTo: string | undefined;
  readonly signInUrl: string;
}

/** A new account. */
export function registerPage({ form, continueTo, ...page }: RegisterPage): string {
  return layout({
    title: "Create an account",
    hasProblem: hasProblem(form),
    content: html`<section class="card">
      <h1>Create an account</h1>
      ${formNotice(form)}
      <form method="post" action="/register">
        ${formToken(page.formToken)} ${carried(continueTo)}
        ${field(form, { name: "loginName", label: "Name", hint: "What you sign in with. Letters a–z, digits and . _ -", autocomplete: "username", maxLength: 32, isFirst: true })}
        ${field(form, { name: "email", label: "E-mail", type: "email", hint: "For a new password, should you ever need one.", autocomplete: "email", maxLength: 254 })}
        ${field(form, { name: "password", label: "Password", type: "password", hint: `At least ${MIN_PASSWORD_LENGTH} characters. A few random words make a good one.`, autocomplete: "new-password" })}
        <button type="submit">Create account</button>
      </form>
      <p class="after">
        <span>Already have one? <a href="${page.signInUrl}">Sign in</a></span>
      </p>
    </section>`,
  });
}

/** Registration is closed. */
export function registrationClosedPage({ signInUrl }: { readonly signInUrl: string }): string {
  return layout({
    title: "Registration is closed",
    content: html`<section class="card">
      <h1>Registration is closed</h1>
      <p class="lead">New accounts are made by an administrator here.</p>
      <p class="after"><a href="${signInUrl}">Sign in</a></p>
    </section>`,
  });
}

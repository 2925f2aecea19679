import { MIN_PASSWORD_LENGTH } from "../people/password-rules.ts";
import { carried, field, formNotice, formToken, hasProblem, hiddenUsername } from "./field.ts";
import type { FormState } from "./form-state.ts";
import { html } from "./html.ts";
import { layout } from "./layout.ts";

/** Who forgot a password? */
export function resetRequestPage(page: {
  readonly formToken: string;
  readonly form: FormState;
  /** Where the person came from; undefined: from nowhere in particular. */
  readonly continueTo: string | undefined;
  readonly signInUrl: string;
}): string {
  return layout({
    title: "Forgot your password?",
    hasProblem: hasProblem(page.form),
    content: html`<section class="card">
      <h1>Forgot your password?</h1>
      <p class="lead">We will mail you a link to choose a new one.</p>
      ${formNotice(page.form)}
      <form method="post" action="/reset">
        ${formToken(page.formToken)}${carried(page.continueTo)}
        ${field(page.form, { name: "login", label: "Name or e-mail", autocomplete: "username", maxLength: 254, isFirst: true })}
        <button type="submit">Send the link</button>
      </form>
      <p class="after"><a href="${page.signInUrl}">Back to sign-in</a></p>
    </section>`,
  });
}

/** The same words whether or not there is such a person (ASVS 6.3.8). */
export function resetSentPage({ signInUrl }: { readonly signInUrl: string }): string {
  return layout({
    title: "Look into your mail",
    content: html`<section class="card">
      <h1>Look into your mail</h1>
      <p class="lead">
        If there is such an account and its e-mail address is confirmed, we have sent it a link. The
        link works once, for 30 minutes.
      </p>
      <p class="lead">Nothing there? Look into the spam folder, or ask an administrator.</p>
      <p class="after">
        <a href="${signInUrl}">Back to sign-in</a><a href="/reset">Try another name</a>
      </p>
    </section>`,
  });
}

/** Behind the link. */
export function newPasswordPage(page: {
  readonly formToken: string;
  readonly form: FormState;
  readonly loginName: string;
}): string {
  return layout({
    title: "Choose a new password",
    hasProblem: hasProblem(page.form),
    content: html`<section class="card">
      <h1>Choose a new password</h1>
      <p class="lead">
        for <strong><bdi>${page.loginName}</bdi></strong
        >. All sessions will be ended; then you can sign in with it.
      </p>
      ${formNotice(page.form)}
      <form method="post" action="/reset/new">
        ${formToken(page.formToken)}${hiddenUsername(page.loginName)}
        ${field(page.form, { name: "password", label: "New password", type: "password", hint: `At least ${MIN_PASSWORD_LENGTH} characters. A few random words make a good one.`, autocomplete: "new-password", isFirst: true })}
        <button type="submit">Set the password</button>
      </form>
    </section>`,
  });
}

/** It is set. */
export function resetDonePage({ signInUrl }: { readonly signInUrl: string }): string {
  return layout({
    title: "Your password is changed",
    content: html`<section class="card">
      <h1>Your password is changed</h1>
      <p class="lead">All sessions that were open are ended.</p>
      <p class="stack"><a class="button" href="${signInUrl}">Sign in</a></p>
    </section>`,
  });
}

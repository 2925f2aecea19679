import { carried, field, formNotice, formToken, hasProblem } from "./field.ts";
import type { FormState } from "./form-state.ts";
import { html } from "./html.ts";
import { layout } from "./layout.ts";

export interface VerifyPage {
  readonly formToken: string;
  readonly form: FormState;
  /** The address that waits for its code. */
  readonly email: string;
  /** Where "later" leads. */
  readonly laterUrl: string;
  /** Where the person came from and goes on afterwards. */
  readonly continueTo: string | undefined;
}

/** Does mail to this address reach you? */
export function verifyPage({ form, email, continueTo, ...page }: VerifyPage): string {
  return layout({
    title: "Confirm your e-mail address",
    hasProblem: hasProblem(form),
    content: html`<section class="card">
      <h1>Confirm your e-mail address</h1>
      <p class="lead">We have sent a code of eight digits to <strong>${email}</strong>.</p>
      ${formNotice(form)}
      <form method="post" action="/verify">
        ${formToken(page.formToken)}${carried(continueTo)}
        ${field(form, { name: "code", label: "Code", autocomplete: "one-time-code", inputMode: "numeric", maxLength: 20, isFirst: true })}
        <button type="submit">Confirm</button>
      </form>
      <form method="post" action="/verify/again">
        ${formToken(page.formToken)}${carried(continueTo)}
        <button type="submit" class="quiet">Send another code</button>
      </form>
      <p class="after"><a href="${page.laterUrl}">Later</a></p>
    </section>`,
  });
}

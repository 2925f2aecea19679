import { field, formNotice, formToken, hasProblem, hiddenUsername } from "./field.ts";
import type { FormState } from "./form-state.ts";
import { html } from "./html.ts";
import { layout } from "./layout.ts";

/** Are you sure? */
export function deleteAccountPage(page: {
  readonly formToken: string;
  readonly form: FormState;
  readonly loginName: string;
}): string {
  return layout({
    title: "Delete your account?",
    hasProblem: hasProblem(page.form),
    content: html`<section class="card">
      <h1>Delete your account?</h1>
      <p class="lead">
        The account <strong><bdi>${page.loginName}</bdi></strong> will be gone, and all its sessions
        with it. This cannot be undone.
      </p>
      <p class="lead">What you keep in applications is theirs to delete: ask there first.</p>
      ${formNotice(page.form)}
      <form method="post" action="/account/delete">
        ${formToken(page.formToken)}${hiddenUsername(page.loginName)}
        ${field(page.form, { name: "password", label: "Your password", type: "password", autocomplete: "current-password", isFirst: true })}
        <div class="choices">
          <button type="submit" class="danger">Delete for good</button>
          <a class="button quiet" href="/account">Keep it</a>
        </div>
      </form>
    </section>`,
  });
}

/** It is done. */
export function accountDeletedPage(): string {
  return layout({
    title: "Your account is deleted",
    content: html`<section class="card">
      <h1>Your account is deleted</h1>
      <p class="lead">All its sessions are ended. You can close this window now.</p>
    </section>`,
  });
}

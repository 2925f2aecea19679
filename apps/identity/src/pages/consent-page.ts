import { formToken } from "./field.ts";
import { html } from "./html.ts";
import { layout } from "./layout.ts";

export interface ConsentPage {
  /** Where the form is posted; its button is `decision`, `allow` or `deny`. */
  readonly action: string;
  readonly formToken: string;
  readonly clientName: string;
  /** The host that the person will be sent to: what a false name cannot hide. */
  readonly clientHost: string;
  readonly loginName: string;
  /** What the client will be able to do, in words. */
  readonly permissions: readonly string[];
}

/** May this client act for you? */
export function consentPage(page: ConsentPage): string {
  return layout({
    title: `Allow ${page.clientName}?`,
    content: html`<section class="card">
      <h1>Allow <bdi>${page.clientName}</bdi>?</h1>
      <p class="lead">
        You are signed in as <strong><bdi>${page.loginName}</bdi></strong
        >. At <strong>${page.clientHost}</strong> it will be able to:
      </p>
      <ul class="scopes">
        ${page.permissions.map((permission) => html`<li>${permission}</li>`)}
      </ul>
      <form method="post" action="${page.action}">
        ${formToken(page.formToken)}
        <div class="choices">
          <button type="submit" name="decision" value="allow">Allow</button>
          <button type="submit" name="decision" value="deny" class="quiet">Do not allow</button>
        </div>
      </form>
    </section>`,
  });
}

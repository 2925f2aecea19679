import { html } from "./html.ts";
import { layout } from "./layout.ts";

export interface SignOutPage {
  readonly action: string;
  /** Hidden fields that the form carries, by name. */
  readonly fields: Readonly<Record<string, string>>;
  readonly clientName: string | undefined;
  /** Name and value of the button that signs out. The other button sends the form without them. */
  readonly confirm: { readonly name: string; readonly value: string };
}

/** A click, because another site can send a browser here but must not be able to sign anybody out. */
export function signOutPage({ action, fields, clientName, confirm }: SignOutPage): string {
  return layout({
    title: "Sign out?",
    content: html`<section class="card">
      <h1>Sign out?</h1>
      <p class="lead">
        ${
          clientName !== undefined &&
          html`You have left <strong><bdi>${clientName}</bdi></strong
            >. `
        }Signing
        out here ends this session in every application that you use with it.
      </p>
      <form method="post" action="${action}">
        ${Object.entries(fields).map(([name, value]) => html`<input type="hidden" name="${name}" value="${value}" />`)}
        <div class="choices">
          <button type="submit" name="${confirm.name}" value="${confirm.value}">Sign out</button>
          <button type="submit" class="quiet">Stay signed in</button>
        </div>
      </form>
    </section>`,
  });
}

/** It is done. */
export function signedOutPage(page: {
  readonly signInUrl: string;
  /** A client's address that it registered for this. */
  readonly continueTo?: { readonly name: string; readonly url: string };
}): string {
  return layout({
    title: "You are signed out",
    content: html`<section class="card">
      <h1>You are signed out</h1>
      <p class="lead">You can close this window now.</p>
      <p class="after">
        <a href="${page.signInUrl}">Sign in again</a>
        ${page.continueTo !== undefined && html`<a href="${page.continueTo.url}">Back to ${page.continueTo.name}</a>`}
      </p>
    </section>`,
  });
}

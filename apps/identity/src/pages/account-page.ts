import { MIN_PASSWORD_LENGTH } from "../people/password-rules.ts";
import { field, formNotice, formToken, hasProblem, hiddenUsername } from "./field.ts";
import type { FormState } from "./form-state.ts";
import { html, type Html } from "./html.ts";
import { layout } from "./layout.ts";

/** A session as the page shows it. */
export interface SessionLine {
  readonly id: string;
  /** Such as `Firefox on Linux`. */
  readonly device: string;
  readonly startedAtMs: number;
  readonly lastUsedAtMs: number;
  readonly isCurrent: boolean;
}

export interface AccountPage {
  readonly formToken: string;
  /** Of the form named by `sentForm`; the others are fresh. */
  readonly form: FormState;
  readonly sentForm: string | undefined;
  readonly loginName: string;
  readonly displayName: string;
  readonly email: string | undefined;
  readonly isEmailVerified: boolean;
  /** An address that waits for its code. */
  readonly pendingEmail: string | undefined;
  readonly sessions: readonly SessionLine[];
  readonly signOutUrl: string;
  readonly nowMs: number;
}

/** Everything that people can see and change about their account. */
export function accountPage(page: AccountPage): string {
  return layout({
    title: "Your account",
    width: "wide",
    hasProblem: hasProblem(page.form),
    content: html`<div class="page-head">
        <h1>Your account</h1>
        <a class="button quiet" href="${page.signOutUrl}">Sign out</a>
      </div>
      ${formNotice(page.form)}
      ${profile(page)}${email(page)}${password(page)}${sessions(page)}${deletion()}`,
  });
}

const stateOf = (page: AccountPage, form: string): FormState =>
  page.sentForm === form ? page.form : { problems: {}, values: {} };

function profile(page: AccountPage): Html {
  const state = stateOf(page, "name");
  return html`<section class="card" aria-labelledby="profile-heading">
    <h2 id="profile-heading">Profile</h2>
    <dl class="facts">
      <dt>You sign in as</dt>
      <dd><bdi>${page.loginName}</bdi></dd>
      <dt>Others see</dt>
      <dd><bdi>${page.displayName}</bdi></dd>
    </dl>
    <details ${hasProblem(state) && html` open`}>
      <summary>Change how others see you</summary>
      <form method="post" action="/account/name">
        ${formToken(page.formToken)}
        ${field(state, { name: "displayName", label: "Shown name", autocomplete: "nickname", value: page.displayName, maxLength: 64 })}
        <button type="submit">Save</button>
      </form>
    </details>
  </section>`;
}

function email(page: AccountPage): Html {
  const state = stateOf(page, "email");
  const { pendingEmail } = page;
  return html`<section class="card" aria-labelledby="email-heading">
    <h2 id="email-heading">E-mail</h2>
    <dl class="facts">
      <dt>Address</dt>
      <dd>
        ${page.email ?? "none"}
        ${page.email !== undefined && (page.isEmailVerified ? html`<span class="tag good">confirmed</span>` : html`<span class="tag problem">not confirmed</span>`)}
      </dd>
      ${
        pendingEmail !== undefined &&
        pendingEmail !== page.email &&
        html`<dt>New address</dt>
          <dd>${pendingEmail} <span class="tag problem">waits for its code</span></dd>`
      }
    </dl>
    ${!page.isEmailVerified && html`<p class="lead">Until it is confirmed we cannot help you to a new password.</p>`}
    ${pendingEmail !== undefined && html`<p class="stack"><a class="button quiet" href="/verify">Type the code</a></p>`}
    <details ${hasProblem(state) && html` open`}>
      <summary>
        ${page.email === undefined ? "Add an address" : page.isEmailVerified ? "Change the address" : "Change the address, or ask for a code"}
      </summary>
      <form method="post" action="/account/email">
        ${formToken(page.formToken)}${hiddenUsername(page.loginName)}
        ${field(state, { name: "email", label: "E-mail", type: "email", autocomplete: "email", value: page.isEmailVerified ? "" : (page.email ?? ""), maxLength: 254, hint: "We send a code there. Your old address stays until you have typed it." })}
        ${field(state, { name: "password", idPrefix: "email-", label: "Your password", type: "password", autocomplete: "current-password" })}
        <button type="submit">Send the code</button>
      </form>
    </details>
  </section>`;
}

function password(page: AccountPage): Html {
  const state = stateOf(page, "password");
  return html`<section class="card" aria-labelledby="password-heading">
    <h2 id="password-heading">Password</h2>
    <p class="lead">Changing it ends all your other sessions.</p>
    <details ${hasProblem(state) && html` open`}>
      <summary>Change the password</summary>
      <form method="post" action="/account/password">
        ${formToken(page.formToken)} ${hiddenUsername(page.loginName)}
        ${field(state, { name: "current", label: "Current password", type: "password", autocomplete: "current-password" })}
        ${field(state, { name: "password", label: "New password", type: "password", autocomplete: "new-password", hint: `At least ${MIN_PASSWORD_LENGTH} characters.` })}
        <button type="submit">Change the password</button>
      </form>
    </details>
  </section>`;
}

function sessions(page: AccountPage): Html {
  const others = page.sessions.filter((session) => !session.isCurrent);
  return html`<section class="card" aria-labelledby="sessions-heading">
    <h2 id="sessions-heading">Where you are signed in</h2>
    <p class="lead">If you do not know one of these, end it and change your password.</p>
    <ul class="sessions">
      ${page.sessions.map((session) => sessionLine(session, page))}
    </ul>
    ${
      others.length > 1 &&
      html`<form method="post" action="/account/sessions/end-others">
        ${formToken(page.formToken)}
        <button type="submit" class="danger">End all other sessions</button>
      </form>`
    }
  </section>`;
}

function sessionLine(session: SessionLine, page: AccountPage): Html {
  const used = ago(page.nowMs - session.lastUsedAtMs);
  return html`<li>
    <div>
      <p>
        <strong><bdi>${session.device}</bdi></strong>
        ${session.isCurrent && html`<span class="tag good">this browser</span>`}
      </p>
      <p class="hint">
        Last used ${time(session.lastUsedAtMs, used)} · since
        ${time(session.startedAtMs, day(session.startedAtMs))}
      </p>
    </div>
    ${
      !session.isCurrent &&
      html`<form method="post" action="/account/sessions/end">
        ${formToken(page.formToken)}
        <input type="hidden" name="session" value="${session.id}" />
        <button
          type="submit"
          class="quiet"
          aria-label="${`End the session of ${session.device}, last used ${used}`}"
        >
          End
        </button>
      </form>`
    }
  </li>`;
}

const deletion = (): Html =>
  html`<section class="card" aria-labelledby="delete-heading">
    <h2 id="delete-heading">Delete the account</h2>
    <p class="lead">Signs you out everywhere and removes your account for good.</p>
    <p class="stack row"><a class="button danger" href="/account/delete">Delete the account…</a></p>
  </section>`;

const time = (atMs: number, words: string): Html =>
  html`<time datetime="${new Date(atMs).toISOString()}">${words}</time>`;

const day = (atMs: number): string =>
  new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeZone: "UTC" }).format(atMs);

function ago(ms: number): string {
  const minutes = Math.floor(ms / 60_000);
  if (minutes < 2) return "just now";
  if (minutes < 120) return `${minutes} minutes ago`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} hours ago` : `${Math.floor(hours / 24)} days ago`;
}

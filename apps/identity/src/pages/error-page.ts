import { html } from "./html.ts";
import { layout } from "./layout.ts";

/** What went wrong, in words that help the person and nobody else. */
export function errorPage(page: {
  readonly title: string;
  readonly message: string;
  /** The id of the line in the log. */
  readonly errorId: string;
  readonly back?: { readonly label: string; readonly url: string };
}): string {
  return layout({
    title: page.title,
    content: html`<section class="card">
      <h1>${page.title}</h1>
      <p class="lead">${page.message}</p>
      ${page.back !== undefined && html`<p class="stack"><a class="button" href="${page.back.url}">${page.back.label}</a></p>`}
      <p class="after hint">
        <span
          >If you ask for help, give this number: <span class="code">${page.errorId}</span></span
        >
      </p>
    </section>`,
  });
}

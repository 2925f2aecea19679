import { html, type Html } from "./html.ts";
import { ICON_PATH, STYLE_PATH } from "./assets.ts";

/** The frame around every page. No script, no content of other sites, nothing inline but the sign: the content security policy allows no more. */
export function layout(page: {
  /** Such as `Sign in`; the window's title and what a screen reader says first. */
  readonly title: string;
  readonly content: Html;
  /** `wide` for the account, which has several parts. */
  readonly width?: "narrow" | "wide";
  /** Prefixes the window's title, so that it is the first thing heard. */
  readonly hasProblem?: boolean;
}): string {
  const { title, content, width = "narrow", hasProblem = false } = page;
  return `<!doctype html>\n${html`<html lang="en">
    <head>
      <meta charset="utf-8" />
      <meta name="viewport" content="width=device-width, initial-scale=1" />
      <meta name="color-scheme" content="light dark" />
      <meta name="robots" content="noindex" />
      <title>${hasProblem && "Problem: "}${title} · Tidegate</title>
      <link rel="icon" href="${ICON_PATH}" type="image/svg+xml" />
      <link rel="stylesheet" href="${STYLE_PATH}" />
    </head>
    <body>
      <header class="brand">${SIGN}<span>Tidegate</span></header>
      <main class="${width}">${content}</main>
      <footer>Signed in here, guarded everywhere. We never ask for your password by mail.</footer>
    </body>
  </html>`.toString()}`;
}

/** A gate and the tide before it. */
const SIGN = html`<svg
  class="sign"
  viewBox="0 0 32 32"
  width="32"
  height="32"
  aria-hidden="true"
  focusable="false"
>
  <path
    d="M6 21V13a10 10 0 0 1 20 0v8M12 21v-8a4 4 0 0 1 8 0v8"
    fill="none"
    stroke="currentColor"
    stroke-width="2.6"
    stroke-linecap="round"
  ></path>
  <path
    d="M3 26.5c2.2 0 2.2-1.8 4.3-1.8s2.2 1.8 4.4 1.8 2.1-1.8 4.3-1.8 2.2 1.8 4.3 1.8 2.2-1.8 4.4-1.8 2.1 1.8 4.3 1.8"
    fill="none"
    stroke="currentColor"
    stroke-width="2.6"
    stroke-linecap="round"
  ></path>
</svg>`;

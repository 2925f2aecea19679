import { hash } from "node:crypto";
import type { ProblemAnswer } from "../forward/problem.ts";
import { BROWSER_PAGE_STYLE } from "./browser-page-style.ts";

/** A page of our own: a heading, what happened, and where to go on. No script, nothing from elsewhere. */
export function browserPage({
  status,
  title,
  text,
  links,
  isChoice = false,
  fields = [],
}: {
  readonly status: number;
  readonly title: string;
  readonly text: string;
  /** The first is what most people want, unless it is a choice among equals. */
  readonly links: readonly { readonly href: string; readonly label: string }[];
  readonly isChoice?: boolean;
  /** Flat list. */
  readonly fields?: readonly string[];
}): ProblemAnswer {
  const items = links.map(({ href, label }, at) => {
    const look = isChoice || at > 0 ? ' class="quiet"' : "";
    return `<a href="${escaped(href)}"${look}>${escaped(label)}</a>`;
  });
  const body = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="robots" content="noindex">
<title>${escaped(title)} · Tidegate</title>
<style>${BROWSER_PAGE_STYLE}</style>
</head>
<body>
<header>${SIGN}<span>Tidegate</span></header>
<main>
<h1>${escaped(title)}</h1>
<p>${escaped(text)}</p>
<nav aria-label="Where to go on">
${items.join("\n")}
</nav>
</main>
</body>
</html>
`;
  return {
    status,
    fields: ["Content-Type", "text/html; charset=utf-8", ...PAGE_FIELDS, ...fields],
    body,
  };
}

/** Sends the browser on. @param url absolute */
export function seeOther(url: string, fields: readonly string[] = []): ProblemAnswer {
  // RFC 9110 §15.4.4: always by GET, so that a form is never sent to another place.
  return { status: 303, fields: ["Location", url, ...NO_TRACE, ...fields], body: "" };
}

/** A gate and the tide before it, as on the identity provider's pages. */
const SIGN =
  '<svg viewBox="0 0 32 32" width="32" height="32" aria-hidden="true" focusable="false">' +
  '<g fill="none" stroke="currentColor" stroke-width="2.6" stroke-linecap="round">' +
  '<path d="M6 21V13a10 10 0 0 1 20 0v8M12 21v-8a4 4 0 0 1 8 0v8"></path>' +
  '<path d="M3 26.5c2.2 0 2.2-1.8 4.3-1.8s2.2 1.8 4.4 1.8 2.1-1.8 4.3-1.8 2.2 1.8 4.3 1.8 2.2-1.8 4.4-1.8 2.1 1.8 4.3 1.8"></path>' +
  "</g></svg>";

/** State and code stand in the address: neither caches nor the next page's Referer may have it. */
const NO_TRACE = ["Cache-Control", "no-store", "Referrer-Policy", "no-referrer"];

const PAGE_FIELDS = [
  ...NO_TRACE,
  "Content-Security-Policy",
  `default-src 'none'; style-src 'sha256-${hash("sha256", BROWSER_PAGE_STYLE, "base64")}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
  "X-Content-Type-Options",
  "nosniff",
  "X-Frame-Options",
  "DENY",
  "Cross-Origin-Opener-Policy",
  "same-origin",
];

const ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

const escaped = (text: string): string =>
  text.replaceAll(/[&<>"']/g, (character) => ENTITIES[character] ?? "");

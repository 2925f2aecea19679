import { hash } from "node:crypto";
import type { ProblemAnswer } from "../forward/problem.ts";

/** A page of our own: a heading, what happened, and where to go on. No script, nothing from elsewhere. */
export function browserPage({
  status,
  title,
  text,
  links,
  fields = [],
}: {
  readonly status: number;
  readonly title: string;
  readonly text: string;
  readonly links: readonly { readonly href: string; readonly label: string }[];
  /** Flat list. */
  readonly fields?: readonly string[];
}): ProblemAnswer {
  const items = links.map(
    ({ href, label }) => `<p><a href="${escaped(href)}">${escaped(label)}</a></p>`,
  );
  const body = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${escaped(title)}</title>
<style>${STYLE}</style>
</head>
<body>
<main>
<h1>${escaped(title)}</h1>
<p>${escaped(text)}</p>
${items.join("\n")}
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

const STYLE =
  "body{font:1rem/1.5 system-ui,sans-serif;margin:0;display:grid;min-height:100vh;place-items:center}" +
  "main{max-width:34rem;padding:1.5rem}h1{font-size:1.5rem;line-height:1.2}" +
  "a{display:inline-block;padding:.5rem 0;color:LinkText}a:focus-visible{outline:3px solid Highlight}";

/** State and code stand in the address: neither caches nor the next page's Referer may have it. */
const NO_TRACE = ["Cache-Control", "no-store", "Referrer-Policy", "no-referrer"];

const PAGE_FIELDS = [
  ...NO_TRACE,
  "Content-Security-Policy",
  `default-src 'none'; style-src 'sha256-${hash("sha256", STYLE, "base64")}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
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

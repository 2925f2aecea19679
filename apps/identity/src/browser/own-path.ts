/**
 * A path of this origin that a browser carried for us, such as where to go on after registering.
 * @returns undefined for anything that a browser would take to another place (open redirect): another scheme or host, `//`, `\`,
 *   control characters, dots that climb
 */
export function parseOwnPath(text: string): string | undefined {
  // oxlint-disable-next-line no-control-regex -- they are what is looked for
  if (!text.startsWith("/") || /^\/\/|[\\\u0000-\u0020\u007F]/.test(text)) return undefined;
  const url = URL.parse(text, "https://own.invalid");
  if (url === null || url.origin !== "https://own.invalid") return undefined;
  return url.pathname.startsWith("//") ? undefined : `${url.pathname}${url.search}`;
}

/** A page of ours that knows where the person goes on afterwards. */
export const withContinue = (path: string, continueTo: string | undefined): string =>
  continueTo === undefined
    ? path
    : `${path}?${new URLSearchParams({ continue: continueTo }).toString()}`;

// A browser without a window for whole sign-ins: keeps cookies by path as browsers do, and follows redirects within the
// provider until a page is shown or somebody else's address is reached.

export interface Shown {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** The page's own address, or the foreign one that was to be opened next. */
  readonly url: string;
  /** Whether `url` is not the provider's: nothing was fetched from it. */
  readonly isForeign: boolean;
}

interface Cookie {
  readonly value: string;
  readonly path: string;
}

export interface FlowBrowser {
  readonly cookies: ReadonlyMap<string, Cookie>;
  /** Opens an address and follows where it leads. */
  open(url: string): Promise<Shown>;
  /** One request, no redirects followed. */
  request(url: string, init?: RequestInit): Promise<Response>;
  /** Sends the form of the page last shown, with its hidden fields. */
  submit(fields: Readonly<Record<string, string>>): Promise<Shown>;
  /** A copy with the same cookies: what a thief of all cookies would have. */
  copy(): FlowBrowser;
  setCookie(name: string, value: string, path?: string): void;
}

const MAX_REDIRECTS = 10;

export function flowBrowser(
  origin: string,
  options: { readonly userAgent?: string; readonly cookies?: ReadonlyMap<string, Cookie> } = {},
): FlowBrowser {
  const cookies = new Map<string, Cookie>(options.cookies);
  let page: Shown | undefined;

  const request = async (url: string, init: RequestInit = {}): Promise<Response> => {
    const target = new URL(url, origin);
    const headers = new Headers({
      accept: "text/html",
      "user-agent": options.userAgent ?? "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Firefox/140.0",
    });
    for (const [name, value] of new Headers(init.headers)) headers.set(name, value);
    const sent = [...cookies].filter(([, { path }]) => isUnder(target.pathname, path));
    if (sent.length > 0) {
      headers.set("cookie", sent.map(([key, { value }]) => `${nameOf(key)}=${value}`).join("; "));
    }
    const answer = await fetch(target, { ...init, headers, redirect: "manual" });
    for (const line of answer.headers.getSetCookie()) keep(cookies, line);
    return answer;
  };
  const follow = async (url: string, init?: RequestInit): Promise<Shown> => {
    let target = new URL(url, origin);
    let next = init;
    for (let redirects = 0; redirects <= MAX_REDIRECTS; redirects++) {
      const answer = await request(target.href, next);
      const text = await answer.text();
      const location = answer.headers.get("location");
      const shown = { status: answer.status, headers: answer.headers, text, isForeign: false };
      if (location === null || answer.status < 300 || answer.status > 399) {
        page = { ...shown, url: target.href };
        return page;
      }
      target = new URL(location, target);
      next = {};
      if (target.origin !== origin) return { ...shown, url: target.href, isForeign: true };
    }
    throw new Error(`More than ${MAX_REDIRECTS} redirects, at ${target.href}`);
  };
  return {
    cookies,
    request,
    open: (url) => follow(url),
    async submit(fields) {
      if (page === undefined) throw new Error("No page is shown");
      const action = /<form method="post" action="([^"]*)"/.exec(page.text)?.[1];
      if (action === undefined) throw new Error(`The page has no form: ${page.text}`);
      const hidden = [
        ...page.text.matchAll(/<input type="hidden" name="([^"]*)" value="([^"]*)"/g),
      ];
      const body = new URLSearchParams(hidden.map(([, name = "", value = ""]) => [name, value]));
      for (const [name, value] of Object.entries(fields)) body.set(name, value);
      return follow(new URL(action.replaceAll("&amp;", "&"), page.url).href, {
        method: "POST",
        headers: { "content-type": "application/x-www-form-urlencoded", origin },
        body: body.toString(),
      });
    },
    copy: () => flowBrowser(origin, { ...options, cookies }),
    setCookie: (name, value, path = "/") => void cookies.set(`${name};${path}`, { value, path }),
  };
}

const nameOf = (key: string): string => key.split(";", 1)[0] ?? "";
const isUnder = (path: string, of: string): boolean =>
  of === "/" || path === of || path.startsWith(`${of}/`);

function keep(cookies: Map<string, Cookie>, line: string): void {
  const [, name = "", value = ""] = /^([^=]+)=([^;]*)/.exec(line) ?? [];
  const path = /;\s*path=([^;]*)/i.exec(line)?.[1] ?? "/";
  const expires = /;\s*expires=([^;]*)/i.exec(line)?.[1];
  const isOver =
    /;\s*max-age=0\b/i.test(line) || (expires !== undefined && Date.parse(expires) <= Date.now());
  if (isOver) cookies.delete(`${name};${path}`);
  else cookies.set(`${name};${path}`, { value, path });
}

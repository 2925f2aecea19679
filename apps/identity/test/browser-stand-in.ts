// A browser without a window: keeps cookies, follows nothing by itself, sends what browsers send with a form.

export interface PageAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly location: string | null;
  readonly text: string;
}

export interface BrowserStandIn {
  readonly cookies: Map<string, string>;
  get(path: string): Promise<PageAnswer>;
  /** Sends a form as it is; `headers` replaces what a browser would say. */
  post(
    path: string,
    fields: Readonly<Record<string, string>>,
    headers?: Readonly<Record<string, string>>,
  ): Promise<PageAnswer>;
  /** Shows `page`, fills in its form's token, sends the form to `path`. */
  submit(page: string, path: string, fields: Readonly<Record<string, string>>): Promise<PageAnswer>;
  /** As `submit`, then shows where it leads. */
  submitAndFollow(
    page: string,
    path: string,
    fields: Readonly<Record<string, string>>,
  ): Promise<PageAnswer>;
}

export function createBrowserStandIn(
  origin: string,
  options: { readonly userAgent?: string; readonly address?: string } = {},
): BrowserStandIn {
  const cookies = new Map<string, string>();
  const send = async (path: string, init: RequestInit): Promise<PageAnswer> => {
    const headers = new Headers({
      accept: "text/html",
      "user-agent": options.userAgent ?? "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Firefox/140.0",
      ...(options.address !== undefined && { "x-forwarded-for": options.address }),
    });
    for (const [name, value] of new Headers(init.headers)) headers.set(name, value);
    if (cookies.size > 0) {
      headers.set("cookie", [...cookies].map(([name, value]) => `${name}=${value}`).join("; "));
    }
    const answer = await fetch(new URL(path, origin), { ...init, headers, redirect: "manual" });
    for (const line of answer.headers.getSetCookie()) {
      const [, name = "", value = ""] = /^([^=]+)=([^;]*)/.exec(line) ?? [];
      if (/;\s*max-age=0\b/i.test(line)) cookies.delete(name);
      else cookies.set(name, value);
    }
    return {
      status: answer.status,
      headers: answer.headers,
      location: answer.headers.get("location"),
      text: await answer.text(),
    };
  };
  const get = (path: string): Promise<PageAnswer> => send(path, {});
  const post: BrowserStandIn["post"] = (path, fields, headers = { origin }) =>
    send(path, {
      method: "POST",
      body: new URLSearchParams(fields).toString(),
      headers: { "content-type": "application/x-www-form-urlencoded", ...headers },
    });
  const submit: BrowserStandIn["submit"] = async (page, path, fields) => {
    const { text } = await get(page);
    const formToken = /name="formToken" value="([^"]*)"/.exec(text)?.[1] ?? "";
    return post(path, { formToken, ...fields });
  };
  return {
    cookies,
    get,
    post,
    submit,
    async submitAndFollow(page, path, fields) {
      const answer = await submit(page, path, fields);
      return get(answer.location ?? "/no-location");
    },
  };
}

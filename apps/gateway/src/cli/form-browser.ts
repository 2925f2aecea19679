// A browser without a window, for the pages of the demo's own identity provider and of nobody else.

/** What a page asked for, as the demo fills it in. */
export interface FormAnswers {
  readonly login: string;
  readonly password: string;
}

/**
 * Signs a person in at the provider's pages: types name and password, allows what is asked for, and goes where the provider
 * sends it, which is `redirectUri` at the end. No page of another origin is ever opened, so the password is sent to the
 * provider alone.
 * @throws {Error} when a page is shown that cannot be answered, such as after a wrong password
 */
export async function signInByForms(
  start: URL,
  { redirectUri, answers }: { readonly redirectUri: string; readonly answers: FormAnswers },
): Promise<void> {
  const { origin } = start;
  const jar = new Map<string, string>();
  let isTyped = false;
  let target = start;
  let init: RequestInit = {};
  for (let step = 0; step < MAX_STEPS; step++) {
    if (target.href.startsWith(`${redirectUri}?`)) {
      await (await fetch(target, { signal: AbortSignal.timeout(TIMEOUT_MS) })).arrayBuffer();
      return;
    }
    if (target.origin !== origin)
      throw new Error(`Cannot sign in: the provider leads to ${target.origin}`);
    const answer = await ask(target, init, jar);
    const location = answer.headers.get("location");
    if (location !== null && answer.status >= 300 && answer.status < 400) {
      target = new URL(location, target);
      init = {};
      continue;
    }
    const page = await answer.text();
    const form = readForm(page, target);
    const isSignIn = page.includes('name="password"');
    if (form === undefined || (isSignIn && isTyped))
      throw new Error(
        `Cannot sign in as ${answers.login}: the provider answered ${answer.status} and a page without a way on`,
      );
    if (isSignIn) {
      isTyped = true;
      form.fields.set("login", answers.login);
      form.fields.set("password", answers.password);
    } else form.fields.set("decision", "allow");
    target = form.action;
    init = {
      method: "POST",
      headers: { "content-type": "application/x-www-form-urlencoded", origin },
      body: form.fields.toString(),
    };
  }
  throw new Error(`Cannot sign in: more than ${MAX_STEPS} pages`);
}

async function ask(target: URL, init: RequestInit, jar: Map<string, string>): Promise<Response> {
  const headers = new Headers(init.headers);
  headers.set("accept", "text/html");
  headers.set("user-agent", "tidegate token");
  const sent = [...jar].filter(([key]) => isUnder(target.pathname, pathOf(key)));
  if (sent.length > 0)
    headers.set("cookie", sent.map(([key, value]) => `${nameOf(key)}=${value}`).join("; "));
  const answer = await fetch(target, {
    ...init,
    headers,
    redirect: "manual",
    signal: AbortSignal.timeout(TIMEOUT_MS),
  });
  for (const line of answer.headers.getSetCookie()) keep(jar, line);
  return answer;
}

/** The first form of a page, with its hidden fields. */
function readForm(
  page: string,
  base: URL,
): { readonly action: URL; readonly fields: URLSearchParams } | undefined {
  const action = /<form method="post" action="([^"]*)"/.exec(page)?.[1];
  if (action === undefined) return undefined;
  const hidden = page.matchAll(/<input type="hidden" name="([^"]*)" value="([^"]*)"/g);
  const fields = new URLSearchParams([...hidden].map(([, name = "", value = ""]) => [name, value]));
  return { action: new URL(action.replaceAll("&amp;", "&"), base), fields };
}

function keep(jar: Map<string, string>, line: string): void {
  const [, name = "", value = ""] = /^([^=]+)=([^;]*)/.exec(line) ?? [];
  const path = /;\s*path=([^;]*)/i.exec(line)?.[1] ?? "/";
  const expires = /;\s*expires=([^;]*)/i.exec(line)?.[1];
  const isOver =
    /;\s*max-age=0\b/i.test(line) || (expires !== undefined && Date.parse(expires) <= 0);
  if (isOver) jar.delete(`${name};${path}`);
  else jar.set(`${name};${path}`, value);
}

const nameOf = (key: string): string => key.split(";", 1)[0] ?? "";
const pathOf = (key: string): string => key.slice(key.indexOf(";") + 1);
const isUnder = (path: string, of: string): boolean =>
  of === "/" || path === of || path.startsWith(`${of}/`);

/** Sign-in and consent are two pages and some six redirects. */
const MAX_STEPS = 20;
const TIMEOUT_MS = 10_000;

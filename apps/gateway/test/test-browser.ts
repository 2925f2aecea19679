// What a browser does with cookies and redirects, without one: to look at each step, and to misbehave.

import { request, type IncomingHttpHeaders, type IncomingMessage } from "node:http";
import { once } from "node:events";
import { text } from "node:stream/consumers";

export interface BrowserAnswer {
  readonly url: URL;
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  /** Where it sends the browser, resolved. */
  readonly location: URL | undefined;
}

export interface BrowserRequest {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** Whether it is made by a link or an address typed in; default: yes. */
  readonly isNavigation?: boolean;
  readonly site?: "none" | "same-origin" | "same-site" | "cross-site";
}

export class TestBrowser {
  /** By host name: cookies do not know ports (RFC 6265 §8.5). */
  readonly cookies = new Map<string, Map<string, string>>();

  async open(target: string | URL, options: BrowserRequest = {}): Promise<BrowserAnswer> {
    const { method = "GET", headers = {}, body = "", isNavigation = true, site = "none" } = options;
    const url = new URL(target);
    const jar = this.cookies.get(url.hostname) ?? new Map<string, string>();
    this.cookies.set(url.hostname, jar);
    const cookie = [...jar].map(([name, value]) => `${name}=${value}`).join("; ");
    const asked = request({
      host: "127.0.0.1",
      port: url.port,
      path: url.pathname + url.search,
      method,
      agent: false,
      headers: {
        host: url.host,
        "sec-fetch-site": site,
        "sec-fetch-mode": isNavigation ? "navigate" : "cors",
        "sec-fetch-dest": isNavigation ? "document" : "empty",
        ...(cookie === "" ? {} : { cookie }),
        ...headers,
      },
    });
    asked.end(body);
    const [answer] = (await once(asked, "response")) as [IncomingMessage];
    for (const line of answer.headers["set-cookie"] ?? []) this.#take(jar, line);
    const { location } = answer.headers;
    return {
      url,
      status: answer.statusCode ?? 0,
      headers: answer.headers,
      body: await text(answer),
      location: location === undefined ? undefined : new URL(location, url),
    };
  }

  /**
   * Follows redirects until an answer is none, or `stops` says so. Signs in wherever it is asked who it is.
   * @param options.as who
   */
  async go(
    target: string | URL,
    options: { readonly as?: string; readonly stops?: (location: URL) => boolean } = {},
  ): Promise<BrowserAnswer> {
    let url = new URL(target);
    let site: BrowserRequest["site"] = "none";
    for (let steps = 0; steps < 20; steps++) {
      const answer = await this.open(url, { site });
      if (answer.body === "Who are you?" && options.as !== undefined) {
        url = new URL(`?as=${options.as}`, answer.url);
        continue;
      }
      if (answer.location === undefined) return answer;
      if (options.stops?.(answer.location) === true) return answer;
      if (answer.location.host !== url.host) site = "cross-site";
      url = answer.location;
    }
    throw new Error("Cannot follow: more than 20 redirects");
  }

  cookie(host: string, name: string): string | undefined {
    return this.cookies.get(host)?.get(name);
  }

  #take(jar: Map<string, string>, line: string): void {
    const [pair = "", ...attributes] = line.split("; ");
    const split = pair.indexOf("=");
    const name = pair.slice(0, split);
    const isOver = attributes.some((one) => /^(?:max-age=0|expires=Thu, 01 Jan 1970)/i.test(one));
    if (isOver) jar.delete(name);
    else jar.set(name, pair.slice(split + 1));
  }
}

import { chromium, type Browser, type BrowserContext } from "playwright-core";

export interface Chromium extends AsyncDisposable {
  readonly browser: Browser;
  /** A person of their own: no cookie or storage is shared with other contexts. */
  newPerson(): Promise<BrowserContext>;
}

const EXECUTABLE = "/usr/bin/chromium";

const FLAGS = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  // A test talks to this machine only; whatever else the browser would like to reach does not resolve.
  "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1",
];

/** Debian's Chromium without a screen, with a profile folder that is new and removed afterwards. */
export async function startChromium(
  options: { readonly flags?: readonly string[] } = {},
): Promise<Chromium> {
  const browser = await chromium.launch({
    executablePath: EXECUTABLE,
    args: [...FLAGS, ...(options.flags ?? [])],
  });
  return {
    browser,
    newPerson: () => browser.newContext(),
    [Symbol.asyncDispose]: () => browser.close(),
  };
}

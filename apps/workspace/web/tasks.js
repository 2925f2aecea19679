// The tasks of whoever is signed in, over the gateway: the cookie goes by itself, and what changes something says that it
// comes from a page of ours.

const OURS = { "Tidegate-CSRF": "1" };

/** Told what to tell the person when a call is refused. */
export class Refused extends Error {
  /** @param {number} status @param {string} text */
  constructor(status, text) {
    super(text);
    this.status = status;
  }
}

/** @param {string} path @param {{method?: string, headers?: Record<string, string>, body?: string}} [init] */
async function call(path, { headers = {}, ...init } = {}) {
  const answer = await fetch(path, { ...init, headers: { ...OURS, ...headers } });
  if (answer.ok) return answer;
  const problem = await answer.json().catch(() => ({}));
  const wait = answer.headers.get("retry-after");
  const when = wait === null ? "" : ` Try again in ${wait} s.`;
  throw new Refused(
    answer.status,
    `${problem.detail ?? problem.title ?? "That did not work"}.${when}`,
  );
}

/** @returns {Promise<string>} where to go on: the provider, or our own page */
export async function signOut() {
  return (await (await call("/.tidegate/sign-out", { method: "POST" })).json()).location;
}

export async function listTasks() {
  const answer = await call("/tasks?limit=100");
  return (await answer.json()).items;
}

/** @param {string} title */
export async function addTask(title) {
  const body = JSON.stringify({ title });
  const headers = { "content-type": "application/json", "idempotency-key": crypto.randomUUID() };
  return (await call("/tasks", { method: "POST", headers, body })).json();
}

/** @param {{id: string}} task @param {boolean} isDone */
export async function setDone({ id }, isDone) {
  const body = JSON.stringify({ status: isDone ? "done" : "todo" });
  const headers = {
    "content-type": "application/merge-patch+json",
    // Only the status is written, whatever else was changed meanwhile.
    "if-match": "*",
  };
  return (await call(`/tasks/${id}`, { method: "PATCH", headers, body })).json();
}

/**
 * Follows what changes, in this window and in others, and comes back after a loss with growing waits.
 * @param {{changed(message: object): void, lost(): void, ended(code: number): void, live(): void}} listener
 */
export function followTasks(listener) {
  let since;
  let failures = 0;
  const open = () => {
    const url = new URL("/tasks/live", location.href);
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    if (since !== undefined) url.searchParams.set("since", String(since));
    const socket = new WebSocket(url);
    socket.addEventListener("message", ({ data }) => {
      const message = JSON.parse(data);
      if (message.sequence !== undefined) since = message.sequence;
      if (message.type === "feed.ready") {
        failures = 0;
        listener.live();
      } else listener.changed(message);
    });
    socket.addEventListener("close", ({ code }) => {
      // 44xx: do not come back without doing what it says.
      if (code >= 4400 && code < 4500 && code !== 4429) {
        listener.ended(code);
        return;
      }
      listener.lost();
      failures += 1;
      const waitMs = Math.min(30_000, 500 * 2 ** failures);
      setTimeout(open, waitMs * (0.5 + Math.random() / 2));
    });
  };
  open();
}

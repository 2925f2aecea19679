import { readFile } from "node:fs/promises";
import { basename, resolve } from "node:path";
import { keysFileWriter, parseKeysFile, readKeyUses, type ApiKey } from "@tidegate/auth";
import { systemClock, systemRandom } from "@tidegate/clock";
import { firstLineOf } from "../config/config-error.ts";
import { didYouMean } from "../config/did-you-mean.ts";
import { table } from "./table.ts";
import { EXIT, type ExitCode, type Terminal } from "./terminal.ts";

export interface KeysCall {
  readonly action: string | undefined;
  readonly file: string | undefined;
  readonly name: string | undefined;
  /** Separated by spaces. */
  readonly scopes: string | undefined;
  /** Such as `90d`. */
  readonly expires: string | undefined;
  /** Such as `24h`. */
  readonly overlap: string | undefined;
  readonly isJson: boolean;
}

/** Adds, lists, rotates, disables and removes the API keys of a file. */
export async function keysCommand(terminal: Terminal, call: KeysCall): Promise<ExitCode> {
  const wrong = whyWrong(call);
  if (wrong !== undefined) {
    terminal.complain(`tidegate: ${wrong}`);
    return EXIT.usage;
  }
  const path = resolve(terminal.workingFolder, call.file ?? "");
  try {
    return await (call.action === "list"
      ? listKeys(terminal, path, call)
      : changeKeys(terminal, path, call));
  } catch (error) {
    // What the file or the machine refused comes as a plain error; every other class is a bug.
    if (!(error instanceof Error) || error.name !== "Error") throw error;
    if (call.isJson) terminal.print(JSON.stringify({ ok: false, error: firstLineOf(error) }));
    else terminal.complain(error.message);
    return EXIT.failed;
  }
}

const ACTIONS = ["add", "list", "rotate", "disable", "enable", "remove"];

function whyWrong({
  action = "",
  file,
  name,
  scopes,
  expires,
  overlap,
}: KeysCall): string | undefined {
  if (!ACTIONS.includes(action)) {
    const meant = didYouMean(action, ACTIONS);
    return `\`keys ${action}\` is not known${meant === undefined ? "" : `; did you mean \`${meant}\`?`}`;
  }
  if (file === undefined) return `\`keys ${action}\` needs a file`;
  if (action === "list" && name !== undefined) return "`keys list` takes no name";
  if (action !== "list" && name === undefined) return `\`keys ${action}\` needs a name`;
  if (action !== "add" && scopes !== undefined) return "`--scopes` belongs to `keys add`";
  if (action !== "add" && expires !== undefined) return "`--expires` belongs to `keys add`";
  if (action !== "rotate" && overlap !== undefined) return "`--overlap` belongs to `keys rotate`";
  for (const [option, text] of [
    ["expires", expires],
    ["overlap", overlap],
  ] as const) {
    if (text !== undefined && readSpan(text) === undefined)
      return `\`--${option}\` takes a time such as 90d, 24h or 30m`;
  }
  return undefined;
}

async function changeKeys(
  terminal: Terminal,
  path: string,
  { action, name = "", scopes, expires, overlap, isJson }: KeysCall,
): Promise<ExitCode> {
  const nowMs = systemClock.wallMs();
  const writer = keysFileWriter({ path, fileName: nameOfFile(path), random: systemRandom, nowMs });
  let key: string | undefined;
  switch (action) {
    case "add": {
      const spanMs = expires === undefined ? undefined : readSpan(expires);
      key = await writer.add({
        name,
        scopes: scopes?.split(" ").filter((scope) => scope !== "") ?? [],
        expiresAtMs: spanMs === undefined ? undefined : nowMs + spanMs,
      });
      break;
    }
    case "rotate":
      key = await writer.rotate(name, nowMs + (readSpan(overlap ?? DEFAULT_OVERLAP) ?? 0));
      break;
    case "remove":
      await writer.remove(name);
      break;
    default:
      await writer.setDisabled(name, action === "disable");
  }
  const done = DONE[action ?? ""] ?? "Changed";
  if (isJson)
    terminal.print(
      JSON.stringify({ ok: true, file: path, name, ...(key === undefined ? {} : { key }) }),
    );
  else if (key === undefined) terminal.complain(`${done} ${name}.`);
  else {
    // The key alone on standard output, so that a script can take it.
    terminal.complain(`${done} ${name}. The key is shown this once:`);
    terminal.print(key);
  }
  return EXIT.fine;
}

const DONE: Readonly<Record<string, string>> = {
  add: "Added",
  rotate: "Rotated",
  remove: "Removed",
  disable: "Disabled",
  enable: "Enabled",
};

async function listKeys(terminal: Terminal, path: string, { isJson }: KeysCall): Promise<ExitCode> {
  const text = await readFile(path, "utf8").catch((cause: unknown) => {
    throw new Error(`Cannot list keys: ${firstLineOf(cause)}`, { cause });
  });
  const { issuer, keys } = parseKeysFile(text, path);
  const uses = await readKeyUses(path);
  const nowMs = systemClock.wallMs();
  const rows = [...keys.values()].map((key) => ({
    name: key.name,
    id: key.id,
    state: stateOf(key, nowMs),
    scopes: key.scopes,
    expires: timeOf(key.expiresAtMs),
    lastUsed: timeOf(uses.get(key.id)),
  }));
  if (isJson) {
    terminal.print(JSON.stringify({ ok: true, file: path, issuer, keys: rows }));
    return EXIT.fine;
  }
  const lines = table([
    ["name", "id", "state", "expires", "last used", "scopes"],
    ...rows.map(({ name, id, state, expires, lastUsed, scopes }) => [
      name,
      id,
      state,
      expires ?? "never",
      lastUsed ?? "never",
      scopes.join(" "),
    ]),
  ]);
  for (const line of lines) terminal.print(line);
  return EXIT.fine;
}

function stateOf(key: ApiKey, nowMs: number): string {
  if (key.isDisabled) return "disabled";
  if (key.expiresAtMs <= nowMs) return "expired";
  const live = key.secrets.filter(({ expiresAtMs }) => expiresAtMs > nowMs).length;
  return live > 1 ? "rotating" : live === 1 ? "active" : "expired";
}

const timeOf = (ms: number | undefined): string | undefined =>
  ms === undefined || ms === Number.POSITIVE_INFINITY ? undefined : new Date(ms).toISOString();

/** @returns milliseconds; undefined when it is no span of time */
function readSpan(text: string): number | undefined {
  const [, count, unit = ""] = /^(\d{1,5})([dhm])$/.exec(text) ?? [];
  return count === undefined ? undefined : Number(count) * (UNIT_MS[unit] ?? 0);
}

const UNIT_MS: Readonly<Record<string, number>> = { d: 86_400_000, h: 3_600_000, m: 60_000 };
/** Long enough to carry a key to where it is used in a working day. */
const DEFAULT_OVERLAP = "24h";

/** What a new file calls itself: its name as far as a name may go. */
function nameOfFile(path: string): string {
  const name = basename(path)
    .replace(/\.[^.]*$/, "")
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, "-")
    .replaceAll(/^[^a-z]+|-+$/g, "");
  return name === "" ? "keys" : name.slice(0, 63);
}

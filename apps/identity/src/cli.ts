// The command line for administrators. It speaks to a running provider by the administrators' API, so that what it ends is
// ended everywhere: it never opens the database beside it.

import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";

export const USAGE = `Usage: main.ts                                serve, configured by IDENTITY_… variables
       main.ts people list [--search <text>]
       main.ts people create <name> [--email <address>] [--display-name <text>] [--password-stdin]
       main.ts people show <name>
       main.ts people disable <name>          ends everything of theirs, everywhere
       main.ts people enable <name>
       main.ts people reset <name> [--password-stdin | --send-link]
       main.ts people sessions <name>
       main.ts people end-sessions <name>
       main.ts keys rotate [--at-once]        at once: when the present keys may be known to somebody
A name is a login name or a \`sub\`. The provider has to be running; IDENTITY_DATA and IDENTITY_ADMIN_PORT say which one.`;

export interface CliIo {
  readonly access: { readonly url: string; readonly tokenFile: string };
  readonly fetch: typeof fetch;
  readonly print: (line: string) => void;
  readonly readStdin: () => Promise<string>;
}

type Json = Readonly<Record<string, unknown>>;

/** Does what the words say. @throws {Error} with what to tell the administrator */
export async function runCommand(words: readonly string[], io: CliIo): Promise<void> {
  const [area, action, ...rest] = words;
  const { values, positionals } = readOptions(rest);
  const who = positionals[0];
  if (positionals.length > 1) throw new Error(USAGE);
  switch (`${area} ${action}`) {
    case "people list":
      return who === undefined ? list(io, values.search) : fail();
    case "people create":
      return create(io, required(who), values);
    case "people show":
      return printPerson(io, await ask(io, "GET", personPath(who)));
    case "people enable":
      return printPerson(io, await ask(io, "POST", `${personPath(who)}/enable`));
    case "people disable":
      return printEnded(io, await ask(io, "POST", `${personPath(who)}/disable`));
    case "people end-sessions":
      return printEnded(io, await ask(io, "POST", `${personPath(who)}/end-sessions`));
    case "people reset":
      return reset(io, required(who), values);
    case "people sessions":
      return printSessions(io, await ask(io, "GET", `${personPath(who)}/sessions`));
    case "keys rotate":
      await ask(io, "POST", "/keys/rotate", {
        when: values["at-once"] === true ? "at-once" : "in-order",
      });
      return io.print("rotated");
    default:
      return fail();
  }
}

function readOptions(words: readonly string[]) {
  try {
    return parseArgs({
      args: [...words],
      allowPositionals: true,
      options: {
        search: { type: "string" },
        email: { type: "string" },
        "display-name": { type: "string" },
        "password-stdin": { type: "boolean" },
        "send-link": { type: "boolean" },
        "at-once": { type: "boolean" },
      },
    });
  } catch (error) {
    throw new Error(`${error instanceof Error ? error.message : ""}\n${USAGE}`, { cause: error });
  }
}

function fail(): never {
  throw new Error(USAGE);
}

const required = (who: string | undefined): string => who ?? fail();
const personPath = (who: string | undefined): string =>
  `/people/${encodeURIComponent(required(who))}`;

async function list(io: CliIo, search: string | undefined): Promise<void> {
  let after: string | undefined;
  do {
    const query = new URLSearchParams({
      limit: "500",
      ...(search !== undefined && { search }),
      ...(after !== undefined && { after }),
    });
    const page = await ask(io, "GET", `/people?${query.toString()}`);
    for (const person of page["people"] as readonly Json[]) printPerson(io, person);
    after = page["next"] as string | undefined;
  } while (after !== undefined);
}

async function create(
  io: CliIo,
  loginName: string,
  values: ReturnType<typeof readOptions>["values"],
): Promise<void> {
  const made = await ask(io, "POST", "/people", {
    loginName,
    ...(values.email !== undefined && { email: values.email }),
    ...(values["display-name"] !== undefined && { displayName: values["display-name"] }),
    ...(values["password-stdin"] === true && { password: await readPassword(io) }),
  });
  printPerson(io, made);
  printPassword(io, made);
}

async function reset(
  io: CliIo,
  who: string,
  values: ReturnType<typeof readOptions>["values"],
): Promise<void> {
  const body = {
    ...(values["password-stdin"] === true && { password: await readPassword(io) }),
    ...(values["send-link"] === true && { send: "link" }),
  };
  const person = await ask(io, "POST", `${personPath(who)}/reset`, body);
  printPerson(io, person);
  printPassword(io, person);
}

/** From standard input, never as an argument: arguments are seen by everybody on the machine, and stay in the history. */
async function readPassword(io: CliIo): Promise<string> {
  return (await io.readStdin()).replace(/\r?\n$/, "");
}

const printPerson = (io: CliIo, person: Json): void =>
  io.print(
    [
      textOf(person["loginName"]),
      textOf(person["id"]),
      textOf(person["email"]),
      person["isDisabled"] === true ? "disabled" : "enabled",
    ].join("\t"),
  );

const textOf = (value: unknown): string => (typeof value === "string" ? value : "-");

/** Made by the provider, shown this once; or on its way to the person. */
function printPassword(io: CliIo, answer: Json): void {
  if (answer["password"] !== undefined) io.print(`password\t${textOf(answer["password"])}`);
  if (answer["sent"] !== undefined) io.print(`sent\t${textOf(answer["sent"])}`);
}

function printEnded(io: CliIo, person: Json): void {
  printPerson(io, person);
  io.print(`ended sessions\t${String(person["endedSessions"])}`);
}

function printSessions(io: CliIo, answer: Json): void {
  for (const session of answer["sessions"] as readonly Json[]) {
    const clients = (session["clients"] as readonly string[]).join(",");
    const agent = textOf(session["userAgent"]);
    io.print(
      [session["id"], session["startedAt"], session["lastUsedAt"], clients || "-", agent].join(
        "\t",
      ),
    );
  }
}

async function ask(io: CliIo, method: string, path: string, body?: object): Promise<Json> {
  const token = readToken(io.access.tokenFile);
  let answer: Response;
  try {
    answer = await io.fetch(`${io.access.url}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${token}`,
        ...(body !== undefined && { "content-type": "application/json" }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(30_000),
    });
  } catch (cause) {
    throw new Error(`Cannot reach the provider at ${io.access.url}: is it running?`, { cause });
  }
  const told = (await answer.json()) as Json;
  if (!answer.ok) throw new Error(`Cannot do it (${answer.status}): ${String(told["detail"])}`);
  return told;
}

function readToken(file: string): string {
  try {
    return readFileSync(file, "utf8").trim();
  } catch (cause) {
    throw new Error(`Cannot read ${file}: the provider makes it when it starts`, { cause });
  }
}

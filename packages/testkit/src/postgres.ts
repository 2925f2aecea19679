import { execFile } from "node:child_process";
import { chown } from "node:fs/promises";
import { promisify } from "node:util";
import { freePort } from "./free-port.ts";
import { startProcess, type RunningProcess } from "./process.ts";
import { tempFolder } from "./temp-folder.ts";

export interface Postgres extends AsyncDisposable {
  readonly port: number;
  /** Such as `postgres://tidegate@127.0.0.1:4711/postgres`; loopback needs no password here. */
  readonly url: string;
  /** The server itself, for tests that stop, freeze or kill it. */
  readonly process: RunningProcess;
}

// Debian keeps the server's programs outside PATH, one folder per major version.
const PROGRAMS = "/usr/lib/postgresql/15/bin";
const run = promisify(execFile);

/** A real PostgreSQL on loopback with a new cluster of its own. As root it runs as user `postgres`: it refuses root. */
export async function startPostgres(): Promise<Postgres> {
  const folder = await tempFolder();
  const data = folder.file("data");
  // setpriv, unlike runuser, becomes the program: our signals reach the server itself.
  const isRoot = process.getuid?.() === 0;
  const asUser = isRoot ? ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"] : [];
  const command = (name: string, args: string[]): [string, string[]] => {
    const [first = "", ...rest] = [...asUser, `${PROGRAMS}/${name}`, ...args];
    return [first, rest];
  };
  try {
    if (isRoot) await giveToPostgres(folder.path);
    const trust = ["--auth=trust", "--username=tidegate", "--encoding=UTF8", "--no-sync"];
    await run(...command("initdb", ["--pgdata", data, "--locale=C.UTF-8", ...trust]), { cwd: "/" });
    const port = await freePort();
    const settings = [
      `port=${port}`,
      "listen_addresses=127.0.0.1",
      `unix_socket_directories=${folder.path}`,
      "fsync=off",
    ].flatMap((setting) => ["-c", setting]);
    const [program, args] = command("postgres", ["-D", data, ...settings]);
    const server = await startProcess({
      command: program,
      args,
      cwd: "/",
      readyWhen: "database system is ready to accept connections",
    });
    return {
      port,
      url: `postgres://tidegate@127.0.0.1:${port}/postgres`,
      process: server,
      async [Symbol.asyncDispose]() {
        // SIGINT is PostgreSQL's fast shutdown: killing it outright would leave its own children behind.
        if (server.exit() === undefined) await server.stop({ signal: "SIGINT" });
        await folder[Symbol.asyncDispose]();
      },
    };
  } catch (error) {
    await folder[Symbol.asyncDispose]();
    throw error;
  }
}

async function giveToPostgres(path: string): Promise<void> {
  const [{ stdout: user }, { stdout: group }] = await Promise.all([
    run("id", ["-u", "postgres"]),
    run("id", ["-g", "postgres"]),
  ]);
  await chown(path, Number(user), Number(group));
}

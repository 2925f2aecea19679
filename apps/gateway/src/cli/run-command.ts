import { ConfigError, firstLineOf } from "../config/config-error.ts";
import { checkCommand } from "./check-command.ts";
import { parseCommandLine, type CommandLine } from "./command-line.ts";
import { commandHelp, generalHelp } from "./help.ts";
import { initCommand } from "./init-command.ts";
import { keysCommand } from "./keys-command.ts";
import { limitsCommand } from "./limits-command.ts";
import { penaltiesCommand } from "./penalties-command.ts";
import { EXIT, type ExitCode, type Terminal } from "./terminal.ts";
import type { TokenCall } from "./token-command.ts";
import { usersCommand } from "./users-command.ts";
import { revokeCommand } from "./revoke-command.ts";
import { versionCommand } from "./version-command.ts";

/** What only some commands need, made when they do: a gateway takes time and memory to load. */
export interface LateParts {
  start(file: string | undefined): Promise<ExitCode>;
  token(call: TokenCall): Promise<ExitCode>;
}

/** Runs one command line. Every failure that is not a bug ends as text and a number. */
export async function runCommand(
  words: readonly string[],
  terminal: Terminal,
  late: LateParts,
): Promise<ExitCode> {
  const line = parseCommandLine(words);
  if (line.kind === "help") {
    terminal.print(line.about === undefined ? generalHelp() : commandHelp(line.about));
    return EXIT.fine;
  }
  if (line.kind === "wrong") {
    terminal.complain(`tidegate: ${line.reason}`);
    terminal.complain("`tidegate --help` shows what there is.");
    return EXIT.usage;
  }
  try {
    return await run(line, terminal, late);
  } catch (error) {
    const isJson = line.options.has("json");
    if (error instanceof ConfigError) return failConfig(terminal, error, isJson);
    // What the machine refused (a folder that cannot be written) is told in one line; anything else is a bug.
    if (!isSystemError(error)) throw error;
    if (isJson) terminal.print(JSON.stringify({ ok: false, error: firstLineOf(error) }));
    else terminal.complain(`Cannot ${line.command}: ${firstLineOf(error)}`);
    return EXIT.failed;
  }
}

function run(
  { command, positionals, options }: Extract<CommandLine, { kind: "run" }>,
  terminal: Terminal,
  late: LateParts,
): Promise<ExitCode> {
  const isJson = options.has("json");
  const [first, file, name] = positionals;
  switch (command) {
    case "init":
      return initCommand(terminal, { folder: first, isJson });
    case "check":
      return checkCommand(terminal, { file: first, isJson });
    case "start":
      return late.start(first);
    case "users":
      return usersCommand(terminal, {
        action: first,
        file,
        name,
        isGenerated: options.has("generate"),
        scopes: textOf(options.get("scopes")),
        isJson,
      });
    case "keys":
      return keysCommand(terminal, {
        action: first,
        file,
        name,
        scopes: textOf(options.get("scopes")),
        expires: textOf(options.get("expires")),
        overlap: textOf(options.get("overlap")),
        isJson,
      });
    case "limits":
      return limitsCommand(terminal, {
        action: first,
        file,
        admin: textOf(options.get("admin")),
        tokenFile: textOf(options.get("token-file")),
        isJson,
      });
    case "penalties":
      return penaltiesCommand(terminal, {
        action: first,
        caller: textOf(options.get("caller")),
        file,
        admin: textOf(options.get("admin")),
        tokenFile: textOf(options.get("token-file")),
        isJson,
      });
    case "revoke":
      return revokeCommand(terminal, {
        file: first,
        issuer: textOf(options.get("issuer")),
        subject: textOf(options.get("subject")),
        session: textOf(options.get("session")),
        token: textOf(options.get("token")),
        isLeak: options.has("leaked"),
        admin: textOf(options.get("admin")),
        tokenFile: textOf(options.get("token-file")),
        isJson,
      });
    case "token":
      return late.token({
        user: first,
        config: textOf(options.get("config")),
        provider: textOf(options.get("provider")),
        client: textOf(options.get("client")),
        scope: textOf(options.get("scope")),
        resource: textOf(options.get("resource")),
        isOpened: options.has("open"),
        isJson,
      });
    default:
      return versionCommand(terminal, { isJson });
  }
}

const textOf = (value: unknown): string | undefined =>
  typeof value === "string" ? value : undefined;

function failConfig(terminal: Terminal, error: ConfigError, isJson: boolean): ExitCode {
  const { file, mistakes } = error;
  if (isJson) terminal.print(JSON.stringify({ ok: false, file, mistakes }));
  else terminal.complain(error.message);
  return EXIT.failed;
}

const isSystemError = (error: unknown): boolean =>
  error instanceof Error && "syscall" in error && "code" in error;

import { COMMANDS, COMMAND_NAMES, type CommandKind, type CommandName } from "./commands.ts";

const WIDTH = 88;

/** What `tidegate --help` says. */
export function generalHelp(): string {
  const names = COMMAND_NAMES.map((name) => [usageOf(name), COMMANDS[name].summary] as const);
  return [
    "tidegate: a gateway that guards the session, not the handshake",
    "",
    "Usage: tidegate <command> [arguments] [--json] [--help]",
    "",
    "Commands:",
    ...table(names),
    "",
    "First steps:",
    ...table([
      ["tidegate init", "write a configuration to start from"],
      ["tidegate check", "see whether it is right, and what it serves"],
      ["tidegate start", "run it"],
    ]),
    "",
    "Exit codes:",
    ...table([
      ["0", "fine"],
      ["1", "what was asked for failed"],
      ["2", "wrong usage: an unknown command or option, a missing argument"],
    ]),
    "",
    "`tidegate <command> --help` says more about one of them.",
  ].join("\n");
}

/** What `tidegate <command> --help` says. */
export function commandHelp(name: CommandName): string {
  const command: CommandKind = COMMANDS[name];
  const options = Object.entries(command.options).map(
    ([option, { summary, value }]) =>
      [value === undefined ? `--${option}` : `--${option} ${value}`, summary] as const,
  );
  const paragraphs = command.text.flatMap((paragraph) => ["", ...wrap(paragraph, WIDTH)]);
  return [
    `Usage: tidegate ${usageOf(name)}${options.map(([option]) => ` [${option}]`).join("")}`,
    "",
    command.summary,
    ...paragraphs,
    "",
    "Options:",
    ...table(options),
    "",
    "Examples:",
    ...table(command.examples),
  ].join("\n");
}

/** The command with its arguments: `check [file]`. */
export function usageOf(name: CommandName): string {
  return [name, ...COMMANDS[name].positionals].join(" ");
}

/** Two columns; the second is wrapped. */
function table(rows: readonly (readonly [string, string])[]): string[] {
  const first = Math.max(...rows.map(([left]) => left.length)) + 2;
  return rows.flatMap(([left, right]) =>
    wrap(right, Math.max(30, WIDTH - first - 2)).map((line, position) =>
      `  ${(position === 0 ? left : "").padEnd(first)}${line}`.trimEnd(),
    ),
  );
}

function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line.length > 0 && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else {
      line = line.length > 0 ? `${line} ${word}` : word;
    }
  }
  return [...lines, line];
}

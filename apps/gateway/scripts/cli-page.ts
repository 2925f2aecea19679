import { COMMAND_NAMES } from "../src/cli/commands.ts";
import { commandHelp, generalHelp } from "../src/cli/help.ts";

/** `docs/cli.md`: what `--help` says, on one page. */
export function cliPage(): string {
  const commands = COMMAND_NAMES.flatMap((name) => [
    `## tidegate ${name}`,
    "",
    ...block(commandHelp(name)),
    "",
  ]);
  return `${[
    "# The command line",
    "",
    "This page is what `tidegate --help` and `tidegate <command> --help` say. In a checkout the command is",
    "`node_modules/.bin/tidegate`; it runs with the pinned Node, whichever Node the shell finds.",
    "",
    ...block(generalHelp()),
    "",
    ...commands,
  ]
    .join("\n")
    .trimEnd()}\n`;
}

const block = (text: string): string[] => ["```text", text, "```"];

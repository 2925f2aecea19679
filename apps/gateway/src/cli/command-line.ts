import { parseArgs } from "node:util";
import { didYouMean } from "../config/did-you-mean.ts";
import { firstLineOf } from "../config/config-error.ts";
import {
  COMMANDS,
  COMMAND_NAMES,
  isCommandName,
  type CommandKind,
  type CommandName,
  type OptionKind,
} from "./commands.ts";
import { usageOf } from "./help.ts";

/** What the caller wants. */
export type CommandLine =
  | { readonly kind: "help"; readonly about: CommandName | undefined }
  | {
      readonly kind: "run";
      readonly command: CommandName;
      readonly positionals: readonly string[];
      /** By name; `true` for those that take nothing. */
      readonly options: ReadonlyMap<string, string | true>;
    }
  | { readonly kind: "wrong"; readonly reason: string };

/** @param words what follows the name of the program */
export function parseCommandLine(words: readonly string[]): CommandLine {
  const [first, ...rest] = words;
  if (first === undefined) return { kind: "help", about: undefined };
  if (first === "--version" || first === "-v") return parseCommandLine(["version", ...rest]);
  if (first === "help" || first === "--help" || first === "-h") return parseHelp(rest);
  if (!isCommandName(first))
    return wrong(`\`${first}\` is not a command${hint(first, COMMAND_NAMES)}`);
  return parseCommand(first, rest);
}

function parseHelp([about]: readonly string[]): CommandLine {
  if (about === undefined || isCommandName(about)) return { kind: "help", about };
  return wrong(`\`${about}\` is not a command${hint(about, COMMAND_NAMES)}`);
}

function parseCommand(command: CommandName, words: readonly string[]): CommandLine {
  const kind: CommandKind = COMMANDS[command];
  const options = { ...kind.options, help: { summary: "" } };
  try {
    const { values, positionals } = parseArgs({
      args: [...words],
      options: Object.fromEntries(
        Object.entries(options).map(([name, { value }]: [string, OptionKind]) => [
          name,
          {
            type: value === undefined ? "boolean" : "string",
            ...(name === "help" && { short: "h" }),
          },
        ]),
      ),
      allowPositionals: true,
    });
    if (values["help"] === true) return { kind: "help", about: command };
    const least = kind.positionals.filter((name) => !name.startsWith("[")).length;
    if (positionals.length < least || positionals.length > kind.positionals.length) {
      const count = positionals.length < least ? "too few" : "too many";
      return wrong(`${count} arguments; usage: tidegate ${usageOf(command)}`);
    }
    return { kind: "run", command, positionals, options: toMap(values) };
  } catch (error) {
    // `parseArgs` throws for nothing but what the caller wrote.
    const unknown = /^Unknown option '(-[^']*)'/.exec(firstLineOf(error))?.[1];
    if (unknown === undefined) return wrong(firstLineOf(error));
    const known = Object.keys(options).map((name) => `--${name}`);
    return wrong(`\`${unknown}\` is not an option of \`${command}\`${hint(unknown, known)}`);
  }
}

function toMap(values: Readonly<Record<string, unknown>>): Map<string, string | true> {
  const given = Object.entries(values).filter(([, value]) => value !== undefined);
  return new Map(given.map(([name, value]) => [name, typeof value === "string" ? value : true]));
}

const wrong = (reason: string): CommandLine => ({ kind: "wrong", reason });

function hint(word: string, known: readonly string[]): string {
  const meant = didYouMean(word, known);
  return meant === undefined ? "" : `; did you mean \`${meant}\`?`;
}

import { readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import type { LimitOverview } from "../admin/limit-overview.ts";
import { didYouMean } from "../config/did-you-mean.ts";
import { firstLineOf } from "../config/config-error.ts";
import { findConfigFile } from "../config/find-config-file.ts";
import { loadConfig } from "../config/load-config.ts";
import { EXIT, type ExitCode, type Terminal } from "./terminal.ts";

export interface LimitsCall {
  readonly action: string | undefined;
  readonly file: string | undefined;
  /** Where the admin listener is; undefined: as the configuration says. */
  readonly admin: string | undefined;
  /** The file its token is in; undefined: the one of the data folder. */
  readonly tokenFile: string | undefined;
  readonly isJson: boolean;
}

const ACTIONS = ["list", "suggest"];
const ANSWER_TIMEOUT_MS = 5_000;

/**
 * Shows what the limits of a running gateway hold, or proposes numbers for those in shadow mode.
 * @throws {ConfigError} when the configuration cannot be used
 */
export async function limitsCommand(terminal: Terminal, call: LimitsCall): Promise<ExitCode> {
  const { action = "list", isJson } = call;
  if (!ACTIONS.includes(action)) {
    const meant = didYouMean(action, ACTIONS);
    terminal.complain(
      `tidegate: \`limits ${action}\` is not known${meant === undefined ? "" : `; did you mean \`${meant}\`?`}`,
    );
    return EXIT.usage;
  }
  const place = await placeOf(terminal, call);
  let limits: readonly LimitOverview[];
  try {
    limits = await askLimits(place);
  } catch (error) {
    const reason = firstLineOf(error);
    if (isJson) terminal.print(JSON.stringify({ ok: false, error: reason }));
    else terminal.complain(reason);
    return EXIT.failed;
  }
  if (isJson) terminal.print(JSON.stringify({ ok: true, limits }));
  else
    for (const line of action === "list" ? listed(limits) : suggested(limits)) terminal.print(line);
  return EXIT.fine;
}

interface Place {
  readonly url: string;
  readonly tokenFile: string;
}

async function placeOf(terminal: Terminal, { file, admin, tokenFile }: LimitsCall): Promise<Place> {
  if (admin !== undefined && tokenFile !== undefined)
    return { url: admin, tokenFile: resolve(terminal.workingFolder, tokenFile) };
  const found = await findConfigFile(file, terminal.workingFolder);
  const { config } = await loadConfig(found, { environment: terminal.environment });
  const { host, port } = config.admin;
  return {
    url: admin ?? `http://${host.includes(":") ? `[${host}]` : host}:${port}`,
    tokenFile: tokenFile ?? join(config.dataFolder, "admin-token"),
  };
}

async function askLimits({ url, tokenFile }: Place): Promise<readonly LimitOverview[]> {
  const token = (await readFile(tokenFile, "utf8")).trim();
  let answer: Response;
  try {
    answer = await fetch(new URL("/limits", url), {
      headers: { authorization: `Bearer ${token}` },
      redirect: "error",
      signal: AbortSignal.timeout(ANSWER_TIMEOUT_MS),
    });
  } catch (cause) {
    throw new Error(`Cannot reach the gateway's admin listener at ${url}: is it running?`, {
      cause,
    });
  }
  if (!answer.ok) throw new Error(`Cannot read the limits at ${url}: it answered ${answer.status}`);
  return (await answer.json()) as readonly LimitOverview[];
}

function listed(limits: readonly LimitOverview[]): string[] {
  if (limits.length === 0) return ["The configuration has no limits."];
  return table([
    ["limit", "route", "callers", "refusals"],
    ...limits.map(({ name, route, keys, refusals, suggestion }) => [
      suggestion === undefined ? name : `${name} (shadow)`,
      route,
      String(keys),
      String(refusals),
    ]),
  ]);
}

function suggested(limits: readonly LimitOverview[]): string[] {
  const measured = limits.filter(({ suggestion }) => suggestion !== undefined);
  if (measured.length === 0)
    return [
      "No limit is in shadow mode. Set `shadow: true` on one, let it run for a day or a week, and ask again.",
    ];
  return measured.flatMap(({ name, route, refusals, suggestion }) => {
    const head = `${name} on ${route}: ${refusals} calls would have been refused so far`;
    if (suggestion === undefined || suggestion.proposals.length === 0)
      return [head, `  ${suggestion?.samples ?? 0} samples are too few for a proposal`];
    return [
      head,
      ...suggestion.proposals.map(({ definition, refusedShare }) => {
        const share = (refusedShare * 100).toFixed(2);
        return `  ${numbersOf(definition)}   ${share} % of callers' windows would meet it`;
      }),
    ];
  });
}

function numbersOf(
  definition: NonNullable<LimitOverview["suggestion"]>["proposals"][number]["definition"],
): string {
  switch (definition.kind) {
    case "bucket":
      return `rate ${definition.count} per ${definition.seconds} s, burst ${definition.burst}`;
    case "window":
      return `limit ${definition.limit} in ${definition.seconds} s`;
    case "quota":
      return `limit ${definition.limit} a ${definition.period}`;
    case "concurrency":
      return `limit ${definition.limit} at once`;
  }
}

function table(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, column) =>
    Math.max(...rows.map((row) => row[column]?.length ?? 0)),
  );
  return rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join("  ")
      .trimEnd(),
  );
}

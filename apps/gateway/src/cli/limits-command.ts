import type { LimitOverview } from "../admin/limit-overview.ts";
import { didYouMean } from "../config/did-you-mean.ts";
import { firstLineOf } from "../config/config-error.ts";
import { adminPlaceOf, askAdmin, type AdminCall } from "./ask-admin.ts";
import { table } from "./table.ts";
import { EXIT, type ExitCode, type Terminal } from "./terminal.ts";

export interface LimitsCall extends AdminCall {
  readonly action: string | undefined;
  readonly isJson: boolean;
}

const ACTIONS = ["list", "suggest"];

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
  const place = await adminPlaceOf(terminal, call);
  let limits: readonly LimitOverview[];
  try {
    limits = (await askAdmin(place, "/limits")) as readonly LimitOverview[];
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

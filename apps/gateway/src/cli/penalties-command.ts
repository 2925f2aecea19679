import { didYouMean } from "../config/did-you-mean.ts";
import { firstLineOf } from "../config/config-error.ts";
import type { PenaltyEntry } from "../penalty/penalty-store.ts";
import { adminPlaceOf, askAdmin, type AdminCall } from "./ask-admin.ts";
import { table } from "./table.ts";
import { EXIT, type ExitCode, type Terminal } from "./terminal.ts";

export interface PenaltiesCall extends AdminCall {
  readonly action: string | undefined;
  /** Whom to forgive, as `list` shows it. */
  readonly caller: string | undefined;
  readonly isJson: boolean;
}

const ACTIONS = ["list", "lift"];

/**
 * Shows who sits in the penalty box of a running gateway, or lets somebody out.
 * @throws {ConfigError} when the configuration cannot be used
 */
export async function penaltiesCommand(terminal: Terminal, call: PenaltiesCall): Promise<ExitCode> {
  const { action = "list", caller, isJson } = call;
  if (!ACTIONS.includes(action)) {
    const meant = didYouMean(action, ACTIONS);
    terminal.complain(
      `tidegate: \`penalties ${action}\` is not known${meant === undefined ? "" : `; did you mean \`${meant}\`?`}`,
    );
    return EXIT.usage;
  }
  if (action === "lift" && caller === undefined) {
    terminal.complain("tidegate: `penalties lift` needs `--caller`, as `penalties list` shows it");
    return EXIT.usage;
  }
  const place = await adminPlaceOf(terminal, call);
  try {
    if (action === "lift") {
      const target = `/penalties/lift?caller=${encodeURIComponent(caller ?? "")}`;
      const { lifted } = (await askAdmin(place, target, "POST")) as { lifted: boolean };
      if (isJson) terminal.print(JSON.stringify({ ok: lifted, lifted }));
      else if (lifted) terminal.print(`Lifted: ${caller}`);
      else terminal.complain(`Cannot lift ${caller}: nothing is known of this caller`);
      return lifted ? EXIT.fine : EXIT.failed;
    }
    const { penalties } = (await askAdmin(place, "/penalties")) as { penalties: PenaltyEntry[] };
    if (isJson) terminal.print(JSON.stringify({ ok: true, penalties }));
    else for (const line of listed(penalties)) terminal.print(line);
    return EXIT.fine;
  } catch (error) {
    const reason = firstLineOf(error);
    if (isJson) terminal.print(JSON.stringify({ ok: false, error: reason }));
    else terminal.complain(reason);
    return EXIT.failed;
  }
}

function listed(penalties: readonly PenaltyEntry[]): string[] {
  if (penalties.length === 0) return ["Nobody has been boxed lately."];
  const time = (ms: number): string => new Date(ms).toISOString().slice(0, 19);
  return table([
    ["caller", "strikes", "limit", "since (UTC)", "until (UTC)"],
    ...penalties.map(({ key, strikes, reason, startedMs, untilMs, isBoxed }) => [
      key,
      String(strikes),
      reason,
      time(startedMs),
      untilMs === undefined ? "it is lifted" : isBoxed ? time(untilMs) : "over",
    ]),
  ]);
}

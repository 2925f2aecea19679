import { firstLineOf } from "../config/config-error.ts";
import { adminPlaceOf, askAdmin, type AdminCall } from "./ask-admin.ts";
import { EXIT, type ExitCode, type Terminal } from "./terminal.ts";

export interface RevokeCall extends AdminCall {
  /** Name under `identity`, or an issuer URL. */
  readonly issuer: string | undefined;
  readonly subject: string | undefined;
  readonly session: string | undefined;
  readonly token: string | undefined;
  /** With a subject: only access tokens issued until now, sign-ins stay. */
  readonly isLeak: boolean;
  readonly isJson: boolean;
}

/**
 * Revokes something at a running gateway, on every worker at once.
 * @throws {ConfigError} when the configuration cannot be used
 */
export async function revokeCommand(terminal: Terminal, call: RevokeCall): Promise<ExitCode> {
  const { issuer, subject, session, token, isLeak, isJson } = call;
  const named = Object.entries({ subject, session, token }).filter(
    ([, name]) => name !== undefined,
  );
  const [only] = named;
  if (issuer === undefined || only === undefined || named.length > 1) {
    terminal.complain(
      "tidegate: `revoke` needs `--issuer` and one of `--subject`, `--session`, `--token`",
    );
    return EXIT.usage;
  }
  if (isLeak && subject === undefined) {
    terminal.complain("tidegate: `--leaked` goes with `--subject`");
    return EXIT.usage;
  }
  const [kind, name = ""] = only;
  const query = new URLSearchParams({ issuer, [kind]: name, ...(isLeak ? { leaked: "1" } : {}) });
  const place = await adminPlaceOf(terminal, call);
  try {
    const { revoked } = (await askAdmin(place, `/revocations?${query.toString()}`, "POST")) as {
      revoked: { issuer: string };
    };
    if (isJson) terminal.print(JSON.stringify({ ok: true, revoked }));
    else terminal.print(`Revoked on every worker: ${kind} ${name} of ${revoked.issuer}`);
    return EXIT.fine;
  } catch (error) {
    const reason = firstLineOf(error);
    if (isJson) terminal.print(JSON.stringify({ ok: false, error: reason }));
    else terminal.complain(reason);
    return EXIT.failed;
  }
}

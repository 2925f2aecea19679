import { VERSION } from "../version.ts";
import { EXIT, type ExitCode, type Terminal } from "./terminal.ts";

/** Prints the versions of the gateway and of its runtime. */
export function versionCommand(
  terminal: Terminal,
  { isJson }: { isJson: boolean },
): Promise<ExitCode> {
  const node = process.versions.node;
  terminal.print(
    isJson ? JSON.stringify({ tidegate: VERSION, node }) : `tidegate ${VERSION} on Node ${node}`,
  );
  return Promise.resolve(EXIT.fine);
}

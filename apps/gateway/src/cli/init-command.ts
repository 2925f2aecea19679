import { mkdir, readdir, writeFile } from "node:fs/promises";
import { join, relative, resolve } from "node:path";
import { CONFIG_FILE_NAMES } from "../config/find-config-file.ts";
import { STARTER_CONFIG } from "./starter-config.ts";
import { EXIT, type ExitCode, type Terminal } from "./terminal.ts";

/** Writes a configuration to start from into a folder that has none. */
export async function initCommand(
  terminal: Terminal,
  { folder = ".", isJson }: { folder?: string | undefined; isJson: boolean },
): Promise<ExitCode> {
  const place = resolve(terminal.workingFolder, folder);
  await mkdir(place, { recursive: true });
  const existing = (await readdir(place)).find((name) => CONFIG_FILE_NAMES.includes(name));
  if (existing !== undefined) {
    const file = join(place, existing);
    if (isJson) terminal.print(JSON.stringify({ ok: false, existing: file }));
    else terminal.complain(`Cannot write a configuration: ${file} is there, and is kept`);
    return EXIT.failed;
  }
  const file = join(place, "tidegate.config.ts");
  // `wx`: should another process have written one meanwhile, it is kept too.
  await writeFile(file, STARTER_CONFIG, { flag: "wx" });
  if (isJson) {
    terminal.print(JSON.stringify({ ok: true, file }));
    return EXIT.fine;
  }
  const shown = relative(terminal.workingFolder, file);
  terminal.print(`Wrote ${shown}. It forwards everything to http://127.0.0.1:3000.`);
  terminal.print(`Next:  tidegate check ${shown}`);
  terminal.print(`       tidegate start ${shown}`);
  return EXIT.fine;
}

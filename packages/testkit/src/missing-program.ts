import { existsSync } from "node:fs";
import { join } from "node:path";

/**
 * For `test(…, { skip: missingProgram("redis-server") }, …)`: false when the program is there, otherwise why the test is
 * skipped. With CI=true it never skips: a promised part that is missing has to fail there.
 */
export function missingProgram(name: string): string | false {
  if (process.env["CI"] === "true") return false;
  const folders = [...(process.env["PATH"] ?? "").split(":"), "/usr/sbin", "/usr/local/sbin"];
  if (folders.some((folder) => existsSync(join(folder, name)))) return false;
  return `${name} is not installed on this machine`;
}

import { rmSync } from "node:fs";
import type { Random } from "@tidegate/clock";
import { setUser } from "@tidegate/auth";
import type { DemoUsers } from "./demo-users.ts";

/** Makes the file from which the gateway knows the demo's people: their names, and hashes of their passwords. */
export async function writeUsersFile(
  path: string,
  options: { readonly users: DemoUsers; readonly random: Random },
): Promise<void> {
  rmSync(path, { force: true });
  for (const [user, password] of Object.entries(options.users)) {
    await setUser({ path, fileName: "demo", user, password, scopes: [], random: options.random });
  }
}
